// What BuildKit's own parser makes of Dockerfiles, for comparison.
//
// Reads inputs from standard input, each as a length (four bytes, big endian) and its bytes, and writes one line of JSON
// for each.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type heredoc struct {
	Name    string `json:"name"`
	Content string `json:"content"`
	Expand  bool   `json:"expand"`
}

type node struct {
	Name     string    `json:"name"`
	Flags    []string  `json:"flags"`
	Args     []string  `json:"args"`
	JSON     bool      `json:"json"`
	Trigger  *node     `json:"trigger"`
	Heredocs []heredoc `json:"heredocs"`
	Start    int       `json:"start"`
	End      int       `json:"end"`
}

// A key and its value, which may be missing.
type pair struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

type stage struct {
	From     string   `json:"from"`
	Name     string   `json:"name"`
	Platform string   `json:"platform"`
	Start    int      `json:"start"`
	End      int      `json:"end"`
	Args     []pair   `json:"args"`
	Env      []pair   `json:"env"`
	CopyFrom []string `json:"copyFrom"`
	Nodes    []node   `json:"nodes"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	// The lines that the error names: zeros if it names none.
	ErrorLines [2]int  `json:"errorLines"`
	Escape     string  `json:"escape"`
	Syntax     string  `json:"syntax"`
	Check      string  `json:"check"`
	Warnings   []int   `json:"warnings"`
	Meta       []pair  `json:"meta"`
	Stages     []stage `json:"stages"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for {
		var size uint32
		if err := binary.Read(in, binary.BigEndian, &size); err != nil {
			if errors.Is(err, io.EOF) {
				return
			}
			panic(err)
		}
		input := make([]byte, size)
		if _, err := io.ReadFull(in, input); err != nil {
			panic(err)
		}
		line, err := json.Marshal(read(input))
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func read(input []byte) (a answer) {
	tree, err := parser.Parse(bytes.NewReader(input))
	if err != nil {
		return refused(err)
	}
	stages, meta, err := instructions.Parse(tree.AST, linter.New(&linter.Config{Warn: func(string, string, string, string, []parser.Range) {}}))
	if err != nil {
		return refused(err)
	}
	a = answer{Escape: string(tree.EscapeToken), Warnings: []int{}, Meta: []pair{}, Stages: []stage{}}
	a.Syntax, _, _, _ = parser.DetectSyntax(input)
	a.Check, _, _, _ = parser.ParseDirective("check", input)
	for _, w := range tree.Warnings {
		a.Warnings = append(a.Warnings, w.Location.Start.Line)
	}
	for _, arg := range meta {
		a.Meta = append(a.Meta, args(arg)...)
	}
	for _, s := range stages {
		a.Stages = append(a.Stages, convertStage(s))
	}
	current := -1
	for _, n := range tree.AST.Children {
		if strings.EqualFold(n.Value, "from") {
			current++
			a.Stages[current].Start, a.Stages[current].End = n.StartLine, n.EndLine
		} else if current >= 0 {
			a.Stages[current].Nodes = append(a.Stages[current].Nodes, convert(n))
		}
	}
	return a
}

func refused(err error) answer {
	a := answer{Error: err.Error()}
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		lines := located.Locations[0]
		a.ErrorLines = [2]int{lines[0].Start.Line, lines[len(lines)-1].End.Line}
	}
	return a
}

func convertStage(s instructions.Stage) stage {
	c := stage{From: s.BaseName, Name: s.Name, Platform: s.Platform, Args: []pair{}, Env: []pair{}, CopyFrom: []string{}, Nodes: []node{}}
	for _, command := range s.Commands {
		switch command := command.(type) {
		case *instructions.ArgCommand:
			c.Args = append(c.Args, args(*command)...)
		case *instructions.EnvCommand:
			for _, env := range command.Env {
				c.Env = append(c.Env, pair{env.Key, &env.Value})
			}
		case *instructions.CopyCommand:
			c.CopyFrom = append(c.CopyFrom, command.From)
		}
	}
	return c
}

func args(command instructions.ArgCommand) (pairs []pair) {
	for _, arg := range command.Args {
		pairs = append(pairs, pair{arg.Key, arg.Value})
	}
	return pairs
}

func convert(n *parser.Node) node {
	c := node{
		Name: strings.ToLower(n.Value), Flags: append([]string{}, n.Flags...), Args: []string{}, JSON: n.Attributes["json"],
		Heredocs: []heredoc{}, Start: n.StartLine, End: n.EndLine,
	}
	for _, h := range n.Heredocs {
		content := h.Content
		if h.Chomp {
			content = parser.ChompHeredocContent(content)
		}
		c.Heredocs = append(c.Heredocs, heredoc{h.Name, content, h.Expand})
	}
	// Keys and values come with what stands between them.
	pairs := c.Name == "env" || c.Name == "label"
	for i, next := 0, n.Next; next != nil; i, next = i+1, next.Next {
		if pairs && i%3 == 2 {
			continue
		}
		if len(next.Children) == 1 {
			child := convert(next.Children[0])
			c.Trigger = &child
		} else {
			c.Args = append(c.Args, next.Value)
		}
	}
	return c
}
