package record

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func sample() *Record {
	return &Record{
		Interface: &Interface{ID: "eni-0a", Account: "123456789012", Region: "ap-northeast-1", ZoneID: "apne1-az1", VPC: "vpc-0a", Subnet: "subnet-0a", Instance: "i-0a"},
		Src:       netip.MustParseAddr("172.31.16.139"), Dst: netip.MustParseAddr("172.31.16.21"),
		PktSrc: netip.MustParseAddr("203.0.113.12"), PktDst: netip.MustParseAddr("172.31.16.22"),
		SrcPort: 20641, DstPort: 22, Protocol: 6, Packets: 20, Bytes: 4249, Start: 1418530010, End: 1418530070, TCPFlags: 19, Egress: true, Path: PathIGWNitro,
	}
}

func line(t *testing.T, format string, r *Record) string {
	t.Helper()
	f, err := Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Append(nil, r))
}

func TestFL01_TheDefaultFormatIsVersion2(t *testing.T) {
	if got := line(t, "", sample()); got != "2 123456789012 eni-0a 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n" {
		t.Errorf("got %q", got)
	}
	f, err := Parse("")
	if err != nil || f.String() != Default || f.Header() != "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status" {
		t.Errorf("got %q, %q, %v", f, f.Header(), err)
	}
}

func TestFL02_VersionIsTheHighestOfTheFields(t *testing.T) {
	for format, want := range map[string]string{
		"${version} ${srcaddr}": "2 172.31.16.139\n",
		"${srcaddr}":            "172.31.16.139\n",
		"${version} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr}": "3 vpc-0a subnet-0a i-0a 19 IPv4 203.0.113.12 172.31.16.22\n",
		"${region} ${version} ${az-id} ${sublocation-type} ${sublocation-id}":                                 "ap-northeast-1 4 apne1-az1 - -\n",
		"${version} ${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} ${traffic-path}":          "5 - - egress 8\n",
		"${version} ${ecs-task-id}":       "7 -\n",
		"${version} ${reject-reason}":     "8 -\n",
		"${version} ${resource-id}":       "9 -\n",
		"${version} ${encryption-status}": "10 -\n",
		"${dstport} ${dstport}":           "22 22\n",
	} {
		if got := line(t, format, sample()); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}

func TestFL02_UnknownFieldsAreRefusedByName(t *testing.T) {
	_, err := Parse("${version} ${color} ${srcaddr} ${tgw-id} ${color}")
	var unknown *UnknownFieldsError
	if !errors.As(err, &unknown) || strings.Join(unknown.Fields, " ") != "color tgw-id" {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{" ", "version", "${version} ", " ${version}", "${version}  ${srcaddr}", "${version},${srcaddr}", "${}", "${version", "$version",
		"${version}\n", "x${version}", strings.Repeat("${version} ", 500) + "${version}"} {
		if _, err := Parse(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%.40q: got %v", bad, err)
		}
	}
}

func TestFL04_RejectNoDataAndSkipData(t *testing.T) {
	all := "${" + strings.Join(Names(), "} ${") + "}"
	r := sample()
	r.Reject = true
	if got := line(t, "${action}", r); got != "REJECT\n" {
		t.Errorf("got %q", got)
	}
	for status, word := range map[Status]string{NoData: "NODATA", SkipData: "SKIPDATA"} {
		r.Status = status
		if got := line(t, "", r); got != "2 123456789012 eni-0a - - - - - - - 1418530010 1418530070 - "+word+"\n" {
			t.Errorf("got %q", got)
		}
		want := "10 123456789012 eni-0a - - - - - - - 1418530010 1418530070 - " + word + " vpc-0a subnet-0a i-0a - - - - ap-northeast-1 apne1-az1" + strings.Repeat(" -", 19) + "\n"
		if got := line(t, all, r); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestFL06_NothingKnownIsADash(t *testing.T) {
	r := sample()
	r.Interface = &Interface{ID: "eni-0b"}
	r.Path = PathNone
	if got := line(t, "${interface-id} ${instance-id} ${traffic-path} ${az-id}", r); got != "eni-0b - - -\n" {
		t.Errorf("got %q", got)
	}
}

func TestNamesWithoutSigns(t *testing.T) {
	for text, want := range map[string]string{"": Default, "  srcaddr  dstaddr ": "${srcaddr} ${dstaddr}", "${srcaddr}": "${srcaddr}"} {
		if f, err := ParseNames(text); err != nil || f.String() != want {
			t.Errorf("%q: got %v, %v", text, f, err)
		}
	}
	if _, err := ParseNames("srcaddr colour"); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreKnown(t *testing.T) {
	f, err := Parse("${srcaddr} ${traffic-path}")
	if err != nil || !IsHeader(f.Header()) {
		t.Errorf("%q, %v", f.Header(), err)
	}
	for _, no := range []string{"", "root:x:0:0:root:/root:/bin/bash", "srcaddr  dstaddr", "version colour"} {
		if IsHeader(no) {
			t.Errorf("%q is taken for a header", no)
		}
	}
}

// FuzzParse: what is taken comes back as it was written, and makes one line with as
// many words as fields.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", Default, "${version}", "${version} ${version}", "${tcp-flags} ${nothing}", "$ {", "${a} "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		format, err := Parse(text)
		if err != nil {
			return
		}
		if text != "" && format.String() != text {
			t.Fatalf("%q comes back as %q", text, format)
		}
		if again, err := Parse(format.String()); err != nil || again.Header() != format.Header() || !IsHeader(format.Header()) {
			t.Fatalf("%q: %v", text, err)
		}
		for _, status := range []Status{OK, NoData, SkipData} {
			r := sample()
			r.Status = status
			got := string(format.Append(nil, r))
			if words := strings.Fields(got); len(words) != len(strings.Fields(format.Header())) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Fatalf("%q makes %q", text, got)
			}
		}
	})
}
