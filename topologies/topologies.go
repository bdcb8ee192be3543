// Package topologies holds the topology files that come with vpcemu. Each teaches
// one lesson, told in the comment at its head. schema.json describes the format
// to editors.
package topologies

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.yaml schema.json
var files embed.FS

// FS holds the files themselves: NAME.yaml, and schema.json.
func FS() fs.FS { return files }

// Names are the names of the topologies, in alphabetical order.
func Names() []string {
	entries, _ := files.ReadDir(".") // an embedded directory can be read
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Open returns the text of the named topology ("book").
func Open(name string) ([]byte, error) {
	if data, err := files.ReadFile(name + ".yaml"); err == nil && path.Base(name) == name {
		return data, nil
	}
	return nil, fmt.Errorf("no topology is called %q; there are %s", name, strings.Join(Names(), ", "))
}
