package awscli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// read turns the arguments of a flag into plain data: text, []byte, bool,
// json.Number, []any and map[string]any.
func (p *parser) read(f flag, values []string) error {
	v, err := readValue(f, values)
	if err != nil {
		return err
	}
	if f.fold != nil {
		return f.fold(p, v)
	}
	return p.set(f, v)
}

func readValue(f flag, values []string) (any, error) {
	switch f.kind {
	case boolean:
		on, err := readBoolean(f, values)
		if kindOf(f.typ) == booleanValue { // the --no- of one
			return map[string]any{"Value": on}, err
		}
		return on, err
	case booleanValue:
		return readBooleanValue(values)
	}
	// A file stands for the whole value, also for that of a list.
	first, err := fromFile(values[0])
	if err != nil {
		return nil, err
	}
	text, isText := first.(string)
	if len(values) > 1 {
		text, isText = values[0], true
	}
	switch f.kind {
	case scalar:
		return first, nil
	case scalars:
		return readScalars(values, first, text)
	case structure:
		if !isText {
			return nil, errors.New("a structure is text: use file://, not fileb://")
		}
		return readStructure(f, text)
	}
	if !isText {
		return nil, errors.New("a list of structures is text: use file://, not fileb://")
	}
	return readStructures(text, values)
}

func readBoolean(f flag, values []string) (bool, error) {
	if len(values) == 0 {
		return !f.off, nil
	}
	switch strings.ToLower(values[0]) {
	case "true":
		return !f.off, nil
	case "false":
		return f.off, nil
	}
	return false, fmt.Errorf("%q: it takes no value, or =true or =false", values[0])
}

// readBooleanValue reads the value of AWS's structures around a flag: none, or
// true, Value=true or {"Value":true}.
func readBooleanValue(values []string) (any, error) {
	if len(values) == 0 {
		return map[string]any{"Value": true}, nil
	}
	v, err := fromFile(values[0])
	if err != nil {
		return nil, err
	}
	text, _ := v.(string)
	switch s := strings.TrimSpace(text); {
	case strings.EqualFold(s, "true"), strings.EqualFold(s, "false"):
		return map[string]any{"Value": s}, nil
	case looksLikeJSON(s):
		return readJSON(s)
	case !strings.Contains(s, "="):
		return nil, fmt.Errorf("%q: write nothing, Value=true or Value=false", s)
	default:
		return parseShorthand(s, fromFile)
	}
}

func readScalars(values []string, first any, text string) (any, error) {
	if len(values) > 1 {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		return list, nil
	}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		return readJSON(text)
	}
	return []any{first}, nil
}

// readStructure reads one structure. One that only wraps a text may be given as
// the text itself.
func readStructure(f flag, text string) (any, error) {
	if looksLikeJSON(text) {
		return readJSON(text)
	}
	if t := structureOf(f.typ); onlyValue(t, textType.Kind()) && !strings.Contains(text, "=") {
		return map[string]any{"Value": text}, nil
	}
	return parseShorthand(text, fromFile)
}

// readStructures reads a list of structures: one an argument in shorthand or
// JSON, or the whole list as JSON.
func readStructures(text string, values []string) (any, error) {
	if len(values) == 1 {
		values = []string{text}
		if strings.HasPrefix(strings.TrimSpace(text), "[") {
			return readJSON(text)
		}
	}
	list := make([]any, 0, len(values))
	for i, text := range values {
		var v any
		var err error
		if looksLikeJSON(text) {
			v, err = readJSON(text)
		} else {
			v, err = parseShorthand(text, fromFile)
		}
		if err != nil && len(values) > 1 {
			err = fmt.Errorf("value %d: %w", i+1, err)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func looksLikeJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

// readJSON reads a JSON document into plain data.
func readJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, extra := d.Token(); !errors.Is(extra, io.EOF) {
			return nil, &syntaxError{text, int(d.InputOffset()), "the JSON value ends before this"}
		}
		return v, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Offset > 0:
		return nil, &syntaxError{text, int(syntax.Offset) - 1, "not JSON: " + syntax.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &syntaxError{text, len(text), "not JSON: it ends here"}
	}
	return nil, fmt.Errorf("not JSON: %w", err)
}

// fromFile reads the file that a value names: file:// as text, fileb:// as bytes.
// Any other value is itself.
func fromFile(value string) (any, error) {
	path, binary := strings.CutPrefix(value, "fileb://")
	if !binary {
		var ok bool
		if path, ok = strings.CutPrefix(value, "file://"); !ok {
			return value, nil
		}
	}
	path = os.ExpandEnv(path)
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, rest)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if binary {
		return b, nil
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%s is not text: use fileb:// for a binary file", path)
	}
	return string(bytes.TrimPrefix(b, []byte("\ufeff"))), nil
}

// readInputJSON takes the parameters of --cli-input-json; flags override them.
func (p *parser) readInputJSON() error {
	if p.opts.inputJSON == "" {
		return nil
	}
	text, err := fromFile(p.opts.inputJSON)
	if err == nil {
		s, ok := text.(string)
		if !ok {
			s = string(text.([]byte))
		}
		var v any
		if v, err = readJSON(s); err == nil {
			params, ok := v.(map[string]any)
			if !ok {
				return errors.New("--cli-input-json: a JSON object is expected: {\"VpcId\": ...}")
			}
			p.params = params
		}
	}
	if err != nil {
		return fmt.Errorf("--cli-input-json: %w", err)
	}
	return nil
}
