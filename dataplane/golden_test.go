package dataplane_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// TestTraceGolden compares the text of traces with testdata/*.golden; run with -update
// to write them, and read what you commit.
func TestTraceGolden(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("db", In("tcp", "3306", "172.30.0.0/24"), Out("all", "", "0.0.0.0/0"))}
	b.public.ENI("web2", "172.30.0.11", b.open).EIP(0, "203.0.113.11")
	b.Apply()
	for name, trace := range map[string]func() string{
		"same-subnet":   func() string { return b.web.Trace(SYN(webIP+":40000", "172.30.0.11:80")) },
		"cross-subnet":  func() string { return b.web.Trace(SYN(webIP+":40000", dbIP+":3306")) },
		"group-denies":  func() string { return b.web.Trace(SYN(webIP+":40000", dbIP+":22")) },
		"internet-out":  func() string { return b.web.Trace(SYN(webIP+":40000", serverIP+":443")) },
		"internet-in":   func() string { return b.laptop.Trace(SYN(laptopIP+":40000", webEIP+":22")) },
		"hairpin":       func() string { return b.web.Trace(SYN(webIP+":40000", "203.0.113.11:80")) },
		"private-dest":  func() string { return b.web.Trace(SYN(webIP+":40000", "10.0.0.1:80")) },
		"too-big":       func() string { return b.web.Trace(DF(UDP(webIP+":1", serverIP+":9", 3000))) },
		"nat-unasked":   func() string { return b.laptop.Trace(SYN(laptopIP+":40000", natEIP+":22")) },
		"nat-reply":     func() string { return natReply(b) },
		"tracked-reply": func() string { return trackedReply(b) },
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, trace()) })
	}
}

// natReply traces the server's answer through the NAT gateway, whose random port the
// golden text does not name.
func natReply(b *book) string {
	r := b.db.Send(UDP(dbIP+":1000", serverIP+":53", 8)).Want(At("server"))
	return strings.ReplaceAll(b.server.Trace(UDP(serverIP+":53", natEIP+":"+portOf(r), 8)), ":"+portOf(r), ":PORT")
}

func trackedReply(b *book) string {
	b.web.Send(SYN(webIP+":41000", dbIP+":3306")).Want(At("db"))
	return b.db.Trace(SYNACK(dbIP+":3306", webIP+":41000"))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
