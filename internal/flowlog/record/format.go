// Package record is the text of VPC flow logs: formats as AWS takes them
// (`${version} ${srcaddr} …`) and the records that they make. It knows neither the
// network nor the model, so that both may use it.
//
// Source: VPC User Guide, "Flow log records" and "Flow log record examples"; rules
// FL-01 to FL-08.
package record

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Default is the format of a flow log that names none: version 2 (FL-01).
const Default = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

// maxFormat bounds a format's length in bytes; all of AWS's fields together have 900.
const maxFormat = 4096

// Format is a flow log's format, read and checked. It is immutable. Make it with Parse.
type Format struct {
	fields  []*field
	version []byte // what ${version} shows
}

// A field is one of AWS's: its name, the version that brought it, and how it is
// written; nil for what AWS knows of services that vpcemu has not: always "-".
type field struct {
	name    string
	version int
	write   func(dst []byte, f *Format, r *Record) []byte
}

// fields are all those of VPC flow logs (FL-02). Version 6 is that of transit gateways.
var fields = []field{
	{"version", 2, func(dst []byte, f *Format, _ *Record) []byte { return append(dst, f.version...) }},
	{"account-id", 2, of(func(r *Record) string { return r.Interface.Account })},
	{"interface-id", 2, of(func(r *Record) string { return r.Interface.ID })},
	{"srcaddr", 2, packetField(func(dst []byte, r *Record) []byte { return appendAddr(dst, r.Src) })},
	{"dstaddr", 2, packetField(func(dst []byte, r *Record) []byte { return appendAddr(dst, r.Dst) })},
	{"srcport", 2, number(func(r *Record) uint64 { return uint64(r.SrcPort) })},
	{"dstport", 2, number(func(r *Record) uint64 { return uint64(r.DstPort) })},
	{"protocol", 2, number(func(r *Record) uint64 { return uint64(r.Protocol) })},
	{"packets", 2, number(func(r *Record) uint64 { return r.Packets })},
	{"bytes", 2, number(func(r *Record) uint64 { return r.Bytes })},
	{"start", 2, func(dst []byte, _ *Format, r *Record) []byte { return strconv.AppendInt(dst, r.Start, 10) }},
	{"end", 2, func(dst []byte, _ *Format, r *Record) []byte { return strconv.AppendInt(dst, r.End, 10) }},
	{"action", 2, word(func(r *Record) string { return pick(r.Reject, "REJECT", "ACCEPT") })},
	{"log-status", 2, of(func(r *Record) string { return r.Status.String() })},
	{"vpc-id", 3, of(func(r *Record) string { return r.Interface.VPC })},
	{"subnet-id", 3, of(func(r *Record) string { return r.Interface.Subnet })},
	{"instance-id", 3, of(func(r *Record) string { return r.Interface.Instance })},
	{"tcp-flags", 3, number(func(r *Record) uint64 { return uint64(r.TCPFlags) })},
	{"type", 3, word(func(r *Record) string { return pick(r.Src.Is4(), "IPv4", "IPv6") })},
	{"pkt-srcaddr", 3, packetField(func(dst []byte, r *Record) []byte { return appendAddr(dst, r.PktSrc) })},
	{"pkt-dstaddr", 3, packetField(func(dst []byte, r *Record) []byte { return appendAddr(dst, r.PktDst) })},
	{"region", 4, of(func(r *Record) string { return r.Interface.Region })},
	{"az-id", 4, of(func(r *Record) string { return r.Interface.ZoneID })},
	{"sublocation-type", 4, nil},
	{"sublocation-id", 4, nil},
	{"pkt-src-aws-service", 5, nil}, // no address of a lab is in AWS's ip-ranges.json
	{"pkt-dst-aws-service", 5, nil},
	{"flow-direction", 5, word(func(r *Record) string { return pick(r.Egress, "egress", "ingress") })},
	{"traffic-path", 5, packetField(func(dst []byte, r *Record) []byte { return appendPath(dst, r.Path) })},
	{"ecs-cluster-arn", 7, nil},
	{"ecs-cluster-name", 7, nil},
	{"ecs-container-instance-arn", 7, nil},
	{"ecs-container-instance-id", 7, nil},
	{"ecs-container-id", 7, nil},
	{"ecs-second-container-id", 7, nil},
	{"ecs-service-name", 7, nil},
	{"ecs-task-definition-arn", 7, nil},
	{"ecs-task-arn", 7, nil},
	{"ecs-task-id", 7, nil},
	{"reject-reason", 8, nil}, // BPA and EC, which a lab has not
	{"resource-id", 9, nil},   // of regional NAT gateways
	{"encryption-status", 10, nil},
}

var fieldsByName = func() map[string]*field {
	m := make(map[string]*field, len(fields))
	for i := range fields {
		m[fields[i].name] = &fields[i]
	}
	return m
}()

// Names lists the names of all fields, by version.
func Names() []string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	return names
}

// ErrFormat: the text is not fields in ${…}, one blank between them.
var ErrFormat = errors.New("a log format is fields such as ${srcaddr}, one blank between them and none around")

// UnknownFieldsError names the fields of a format that AWS does not have.
type UnknownFieldsError struct{ Fields []string }

func (e *UnknownFieldsError) Error() string {
	return "unknown fields in the log format: " + strings.Join(e.Fields, ", ")
}

var syntax = regexp.MustCompile(`^\$\{[A-Za-z0-9_-]+\}( \$\{[A-Za-z0-9_-]+\})*$`)

// Parse reads a log format; "" means Default. A field may be there more than once, as
// on AWS. The error is ErrFormat or an *UnknownFieldsError.
func Parse(text string) (*Format, error) {
	if text == "" {
		text = Default
	}
	if len(text) > maxFormat || !syntax.MatchString(text) {
		return nil, fmt.Errorf("%w: %q", ErrFormat, text[:min(len(text), 80)])
	}
	f := &Format{}
	version := 0
	var unknown []string
	for part := range strings.SplitSeq(text, " ") {
		name := part[2 : len(part)-1]
		field := fieldsByName[name]
		switch {
		case field != nil:
			f.fields = append(f.fields, field)
			version = max(version, field.version)
		case !slices.Contains(unknown, name):
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, &UnknownFieldsError{unknown}
	}
	f.version = strconv.AppendInt(nil, int64(version), 10)
	return f, nil
}

// ParseNames is Parse that also takes bare names ("srcaddr dstaddr"), which a shell
// leaves as they are.
func ParseNames(text string) (*Format, error) {
	if strings.Contains(text, "$") || strings.TrimSpace(text) == "" {
		return Parse(text)
	}
	return Parse("${" + strings.Join(strings.Fields(text), "} ${") + "}")
}

// String is the format as AWS writes it.
func (f *Format) String() string {
	parts := make([]string, len(f.fields))
	for i, field := range f.fields {
		parts[i] = "${" + field.name + "}"
	}
	return strings.Join(parts, " ")
}

// Header is the line above the records in a file, as in those that AWS puts into S3:
// the names of the fields. It ends without a newline.
func (f *Format) Header() string {
	names := make([]string, len(f.fields))
	for i, field := range f.fields {
		names[i] = field.name
	}
	return strings.Join(names, " ")
}

// IsHeader tells whether a line is the header of some format.
func IsHeader(line string) bool {
	if line == "" || len(line) > maxFormat {
		return false
	}
	for name := range strings.SplitSeq(line, " ") {
		if fieldsByName[name] == nil {
			return false
		}
	}
	return true
}

// Append adds the record as a line, with its newline, to dst. What a record has not,
// such as the ports of NODATA, is "-".
func (f *Format) Append(dst []byte, r *Record) []byte {
	for i, field := range f.fields {
		if i > 0 {
			dst = append(dst, ' ')
		}
		before := len(dst)
		if field.write != nil {
			dst = field.write(dst, f, r)
		}
		if len(dst) == before {
			dst = append(dst, '-')
		}
	}
	return append(dst, '\n')
}

// Writers of fields. Those of packets write nothing for NODATA and SKIPDATA.

func of(text func(*Record) string) func([]byte, *Format, *Record) []byte {
	return func(dst []byte, _ *Format, r *Record) []byte { return append(dst, text(r)...) }
}

func packetField(write func([]byte, *Record) []byte) func([]byte, *Format, *Record) []byte {
	return func(dst []byte, _ *Format, r *Record) []byte {
		if r.Status != OK {
			return dst
		}
		return write(dst, r)
	}
}

func word(text func(*Record) string) func([]byte, *Format, *Record) []byte {
	return packetField(func(dst []byte, r *Record) []byte { return append(dst, text(r)...) })
}

func number(n func(*Record) uint64) func([]byte, *Format, *Record) []byte {
	return packetField(func(dst []byte, r *Record) []byte { return strconv.AppendUint(dst, n(r), 10) })
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
