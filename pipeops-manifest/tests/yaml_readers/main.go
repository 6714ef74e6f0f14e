// Reads YAML as kubectl does. Each line of standard input is a document in a JSON string; each line of standard output is the
// document as JSON, or {"error": …}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	decoder := json.NewDecoder(input)
	for {
		var document string
		if decoder.Decode(&document) != nil {
			return
		}
		read, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			read, _ = json.Marshal(map[string]string{"error": err.Error()})
		}
		fmt.Fprintln(output, string(read))
		output.Flush()
	}
}
