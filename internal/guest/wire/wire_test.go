package wire

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A request and a descriptor arrive together, also through a path longer than a socket address may be.
func TestConn_CarriesDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(path, "guest.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	server := Conn{accepted}
	defer server.Close()

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := c.Send(Request{Op: OpExec, Exec: &Exec{Argv: []string{"true"}}}, w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var req Request
	files, err := server.Receive(&req)
	if err != nil {
		t.Fatal(err)
	}
	if req.Op != OpExec || len(req.Exec.Argv) != 1 || len(files) != 1 {
		t.Fatalf("received %+v with %d descriptors", req, len(files))
	}
	if _, err := files[0].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	CloseFiles(files)
	if got, _ := io.ReadAll(r); string(got) != "through" {
		t.Errorf("read %q from the passed descriptor", got)
	}
	c.Close()
	if _, err := server.Receive(&req); !errors.Is(err, io.EOF) {
		t.Errorf("receive on a closed connection: %v, want EOF", err)
	}
}

func TestConn_RefusesLongMessage(t *testing.T) {
	if err := (Conn{}).Send(Request{Op: strings.Repeat("x", MaxMessage)}); err == nil {
		t.Error("a message beyond the limit was sent")
	}
}

func TestLabel_RoundTrip(t *testing.T) {
	lab, run, id, ok := ParseLabel(Label("book", "/run/vpcemu/book", "i-1"))
	if !ok || lab != "book" || run != "/run/vpcemu/book" || id != "i-1" {
		t.Error(lab, run, id, ok)
	}
	for _, argv := range [][]string{nil, {"vpcemu-guest"}, {"bash", "--lab", "a", "--run", "b", "--id", "c"}} {
		if _, _, _, ok := ParseLabel(argv); ok {
			t.Errorf("%q taken for a label", argv)
		}
	}
}
