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

type stage struct {
	From     string `json:"from"`
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Nodes    []node `json:"nodes"`
}

type answer struct {
	Error  string   `json:"error,omitempty"`
	Escape string   `json:"escape"`
	Syntax string   `json:"syntax"`
	Meta   []string `json:"meta"`
	Stages []stage  `json:"stages"`
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

func read(input []byte) answer {
	tree, err := parser.Parse(bytes.NewReader(input))
	if err != nil {
		return answer{Error: err.Error()}
	}
	stages, meta, err := instructions.Parse(tree.AST, linter.New(&linter.Config{Warn: func(string, string, string, string, []parser.Range) {}}))
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Escape: string(tree.EscapeToken), Meta: []string{}, Stages: []stage{}}
	a.Syntax, _, _, _ = parser.DetectSyntax(input)
	for _, arg := range meta {
		for _, pair := range arg.Args {
			a.Meta = append(a.Meta, written(pair))
		}
	}
	for _, s := range stages {
		a.Stages = append(a.Stages, stage{From: s.BaseName, Name: s.Name, Platform: s.Platform, Nodes: []node{}})
	}
	current := -1
	for _, n := range tree.AST.Children {
		if strings.EqualFold(n.Value, "from") {
			current++
		} else if current >= 0 {
			a.Stages[current].Nodes = append(a.Stages[current].Nodes, convert(n))
		}
	}
	return a
}

func written(pair instructions.KeyValuePairOptional) string {
	if pair.Value == nil {
		return pair.Key
	}
	return pair.Key + "=" + *pair.Value
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
