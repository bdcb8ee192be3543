// Gen makes ec2api's table from AWS's machine-readable model of the EC2 API.
//
//	go run ./gen [-model service-2.json[.gz]] [-o model.txt] [-filters filters.txt]
//
// The model is botocore's (data/ec2/2016-11-15/service-2.json.gz); that of
// aws-sdk-go (models/apis/ec2/2016-11-15/api-2.json) has the same form. Without
// -model the botocore that python3 finds is taken.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	model := flag.String("model", "", "the model, `FILE`; default: that of python3's botocore")
	out := flag.String("o", "model.txt", "the table, `FILE`")
	filters := flag.String("filters", "", "the filters that the model's documentation names, for a test, `FILE`")
	flag.Parse()
	if err := run(*model, *out, *filters); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(path, out, filters string) error {
	source := filepath.Base(path)
	if path == "" {
		var err error
		if path, source, err = botocore(); err != nil {
			return err
		}
	}
	m, err := read(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	text, err := table(m, source, wanted())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if filters != "" {
		if err := os.WriteFile(filters, documentedFilters(m, source, wanted()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(out, text, 0o644)
}

// botocore finds the model of the botocore that is installed, and says which.
func botocore() (path, source string, err error) {
	const find = `import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), "data/ec2/2016-11-15/service-2.json")); print(botocore.__version__)`
	said, err := exec.Command("python3", "-c", find).Output()
	if err != nil {
		return "", "", errors.New("python3 has no botocore: name a model by -model, as Debian's python3-botocore and the Go module github.com/aws/aws-sdk-go have it")
	}
	path, version, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if _, err := os.Stat(path); err != nil {
		path += ".gz"
	}
	return path, "botocore " + version, nil
}

func read(path string) (*model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if b, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	m := new(model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	if m.Metadata.Protocol != "ec2" {
		return nil, fmt.Errorf("it is of protocol %q, not ec2", m.Metadata.Protocol)
	}
	return m, nil
}
