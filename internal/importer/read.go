package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Source is one file: its path, which errors show, and what is in it.
type Source struct {
	Name string
	Data []byte
}

// MaxSource is how many bytes a file may have.
const MaxSource = 256 << 20

// read takes in all sources. An error names the file, and the place in it.
func read(sources []Source) (*account, error) {
	a := &account{vpcAttributes: map[string]vpcAttributes{}, instanceAttributes: map[string]instanceAttributes{},
		prefixLists: map[string]*prefixList{}, has: map[string]bool{}, last: map[string]bool{}, ownTables: map[string]string{}, ownAcls: map[string]string{}}
	for _, s := range sources {
		if len(s.Data) > MaxSource {
			return nil, fmt.Errorf("%s: larger than %d MiB; that is no dump of describe calls", s.Name, MaxSource>>20)
		}
		a.files = append(a.files, s.Name)
		if err := a.readSource(s); err != nil {
			return nil, err
		}
	}
	if err := a.readTerraform(); err != nil {
		return nil, err
	}
	for _, p := range a.parts {
		if !a.last[p.of] {
			a.notes.add("file", p.file, "is only a part of the answer (it has a NextToken), and the last part was not read: dump it again without --max-items and --no-paginate")
		}
	}
	return a, nil
}

// part is an answer that has a NextToken, which all but the last part of one have. of is what is in it, and the Region.
type part struct{ file, of string }

// readSource reads the JSON documents of a file: mostly one, but a loop over instances may have appended many.
func (a *account) readSource(s Source) error {
	text, err := decodeText(s.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		a.notes.add("file", s.Name, "is empty; nothing was read of it")
		return nil
	}
	if at := invalidAt(text); at >= 0 {
		a.notes.add("file", s.Name, "is no UTF-8 (at offset %d): letters beyond ASCII are lost in names and tags. Dump it again as UTF-8", at)
	}
	if why := otherFormat(text); why != "" {
		return fmt.Errorf("%s: %s", s.Name, why)
	}
	r := reader{account: a, name: s.Name, region: regionInPath(s.Name)}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var document json.RawMessage
		start := d.InputOffset()
		switch err := d.Decode(&document); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", s.Name, jsonError(text, start, err))
		}
		if err := r.document(document); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
}

// invalidAt is where text is no UTF-8, or -1.
func invalidAt(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// decodeText makes UTF-8 of what a shell redirected: PowerShell 5 writes UTF-16 with a byte order mark, other tools without.
func decodeText(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		return nil, errors.New("this is compressed (gzip); unpack it first")
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return nil, errors.New("this is an archive, as a plan file of Terraform is; import reads what `terraform show -json PLAN` prints, and no archives")
	case bytes.HasPrefix(b, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(b, []byte("\x00\x00\xfe\xff")):
		return nil, errors.New("this is UTF-32; write it as UTF-8")
	case len(b) > 2 && b[0] == '{' && b[1] == 0 && b[2] != 0:
		return decodeText(append([]byte("\xff\xfe"), b...))
	case len(b) > 2 && b[0] == 0 && b[1] == '{' && b[2] == 0:
		return decodeText(append([]byte("\xfe\xff"), b...))
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return b[3:], nil
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		if len(b)%2 != 0 {
			return nil, fmt.Errorf("UTF-16 with half a character at its end (offset %d): the file was cut off", len(b)-1)
		}
		big := b[0] == 0xfe
		units := make([]uint16, 0, len(b)/2)
		for i := 2; i < len(b); i += 2 {
			lo, hi := b[i], b[i+1]
			if big {
				lo, hi = hi, lo
			}
			units = append(units, uint16(hi)<<8|uint16(lo))
		}
		return []byte(string(utf16.Decode(units))), nil
	case bytes.IndexByte(b, 0) >= 0:
		return nil, fmt.Errorf("no text: a zero byte at offset %d", bytes.IndexByte(b, 0))
	}
	return b, nil
}

var (
	yamlStart = regexp.MustCompile(`^(---\s|\s*[A-Za-z]+:(\s|$))`)
	textStart = regexp.MustCompile(`^[A-Z0-9]+(\t|\n|$)`)
	hclStart  = regexp.MustCompile(`^\s*((#|//|/\*)|(resource|data|provider|variable|module|locals|terraform|output|import|moved|check)\b[^:\n]*\{)`)
)

// otherFormat tells what a file is that is no JSON but some other output of the same tools, and the remedy.
func otherFormat(text []byte) string {
	start := text[:min(len(text), 4096)]
	switch {
	case bytes.HasPrefix(start, []byte("----")):
		return "this is a table (`aws --output table`); dump it again with --output json"
	case yamlStart.Match(start), bytes.HasPrefix(start, []byte("- ")):
		return "this is YAML (`aws --output yaml`); dump it again with --output json"
	case textStart.Match(start) && !json.Valid(text):
		return "this is text (`aws --output text`); dump it again with --output json"
	case bytes.HasPrefix(bytes.TrimSpace(start), []byte("<")):
		return "this is HTML or XML; import reads what `aws ec2 describe-… --output json` and `terraform show -json` print"
	case bytes.HasPrefix(bytes.TrimSpace(start), []byte("An error occurred")):
		return "this is an error of `aws` instead of its answer; dump it again"
	case hclStart.Match(start):
		return "this is Terraform's own language; import reads what `terraform show -json` prints"
	}
	return ""
}

// jsonError adds the place to an error of the decoder. start is where the document begins.
func jsonError(text []byte, start int64, err error) error {
	at := start
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(text))
		err = errors.New("it ends in the middle: the file was cut off")
	case errors.As(json.Unmarshal(text[start:], new(any)), &syntax): // whose offset is from the beginning, unlike a stream's
		at = start + max(syntax.Offset-1, 0)
	}
	at = min(at, int64(len(text)))
	before := text[:at]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	remedy := "dump it again"
	if len(bytes.TrimSpace(before)) == 0 {
		remedy = "import reads what `aws ec2 describe-… --output json` and `terraform show -json` print"
	}
	return fmt.Errorf("no JSON at offset %d (line %d, column %d): %w; %s", at, line, column, err, remedy)
}

// regionInPath is the AWS Region that a folder or file is called after, or "".
func regionInPath(name string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(name), "/") {
		if slices.Contains(vpc.RegionNames(), part) {
			return part
		}
	}
	return ""
}

// reader reads the documents of one file.
type reader struct {
	*account
	name, region string
}

// document reads the answer of one call, or several answers merged into one object.
func (r *reader) document(raw json.RawMessage) error {
	if raw[0] == '[' {
		return errors.New("a list at the top: import reads whole answers, as `aws` prints them without --query")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return errors.New("an object is wanted at the top, as `aws ec2 describe-… --output json` and `terraform show -json` print it")
	}
	switch has := func(key string) bool { _, ok := members[key]; return ok }; {
	case has("terraform_version") && (has("lineage") || has("version") && (has("resources") || has("modules"))):
		return errors.New("this is Terraform's state file itself; import reads what `terraform show -json` prints")
	case has("@level") && has("@message"):
		return errors.New("this is the log of Terraform's -json; import reads what `terraform show -json`, of a state or a plan file, prints")
	case has("format_version") && !has("provider_schemas") && !has("valid"):
		r.documents = append(r.documents, func() error {
			if err := r.terraformDocument(members); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
		return nil
	}
	return r.answers(members)
}

// origin is that of objects of this file.
func (r *reader) origin() origin { return origin{region: r.region} }
