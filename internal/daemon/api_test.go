package daemon

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const emptyAccount = "version: 1\nname: lab\nregion: us-east-1\n"

// api changes the endpoint, and gives where it is then.
func (b *bench) api(req control.APIRequest) string {
	b.t.Helper()
	is, err := b.API(b.t.Context(), &req)
	if err != nil {
		b.t.Fatal(err)
	}
	return is.Listen
}

const anyPort = "127.0.0.1:0"

// client makes the requests of one who has a key.
type client struct {
	t           testing.TB
	key, secret string
	change      func(*http.Request) // after it was signed
}

// call sends a request, and gives the status and the text of its answer.
func (c client) call(addr, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+addr+"/", strings.NewReader(body+"&Version=2016-11-15"))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	hash := sha256.Sum256([]byte(body + "&Version=2016-11-15"))
	if err := v4.NewSigner().SignHTTP(c.t.Context(), aws.Credentials{AccessKeyID: c.key, SecretAccessKey: c.secret}, r,
		hex.EncodeToString(hash[:]), "ec2", "us-east-1", time.Now()); err != nil {
		c.t.Fatal(err)
	}
	if c.change != nil {
		c.change(r)
	}
	// No connection is kept: one to an endpoint that has ended would be used again.
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// want is call with what must come of it.
func (c client) want(addr, body string, status int, part string) {
	c.t.Helper()
	if got, text := c.call(addr, body); got != status || !strings.Contains(text, part) {
		c.t.Fatalf("%s: %d %s; want %d with %q", body, got, text, status, part)
	}
}

// What web pages can make a browser send is refused, with a signature or without.
func TestAPI_RefusesWebPages(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	addr := b.api(control.APIRequest{Listen: anyPort, Hosts: []string{"lab.example"}})
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		status int
		part   string
	}{
		{"as it should be", nil, 200, "172.31.0.0/16"},
		{"localhost", func(r *http.Request) { r.Host = "localhost:" + port }, 200, "172.31.0.0/16"},
		{"a name of the user's", func(r *http.Request) { r.Host = "lab.example:" + port }, 200, "172.31.0.0/16"},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationToken"},
		{"a password", func(r *http.Request) { r.SetBasicAuth("test", "test") }, 400, "IncompleteSignature"},
		{"a form of a page", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Content-Type", "text/plain")
		}, 403, "MissingAuthenticationToken"},
		{"another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, "MalformedQueryString"},
		{"a page's script", func(r *http.Request) { r.Header.Set("Origin", "http://example.com") }, 403, "web pages"},
		{"a page from nowhere", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "web pages"},
		{"a page's own name, led here", func(r *http.Request) { r.Host = "example.com:" + port }, 403, "not called example.com"},
	} {
		c := client{t, "any", "any", tt.change}
		if status, text := c.call(addr, "Action=DescribeVpcs"); status != tt.status || !strings.Contains(text, tt.part) {
			t.Errorf("%s: %d %s; want %d with %q", tt.name, status, text, tt.status, tt.part)
		}
	}
}

func TestAPI_KeysAreVerifiedAndSurviveARestart(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	addr := b.api(control.APIRequest{Listen: anyPort, Keys: map[string]string{"AKID": "secret"}})
	right, wrong := client{t, "AKID", "secret", nil}, client{t, "AKID", "Secret", nil}
	for range 2 {
		right.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
		wrong.want(addr, "Action=DescribeVpcs", 401, "AuthFailure")
		b.reopen()
	}
	if b.api(control.APIRequest{AnyKey: true}) != addr {
		t.Error("it is somewhere else now")
	}
	wrong.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
}

// The lab's other users cannot be reached by everybody's network without keys.
func TestAPI_OtherMachinesNeedKeys(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:4566", "localhost:4566", "127.0.0.1"} {
		if _, err := b.API(t.Context(), &control.APIRequest{Listen: addr}); err == nil {
			t.Errorf("%s: no error", addr)
		}
	}
	if is := b.Model().Api; is.Listen != "" {
		t.Errorf("the model says %+v", is)
	}
}

func TestAPI_APortThatIsTakenChangesNothing(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	c := client{t, "any", "any", nil}
	addr := b.api(control.APIRequest{Listen: anyPort})
	other, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = b.API(t.Context(), &control.APIRequest{Listen: other.Addr().String(), Keys: map[string]string{"A": "b"}})
	if err == nil || !strings.Contains(err.Error(), other.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("err = %v", err)
	}
	c.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
	if is := b.Model().Api; is.Listen != addr || is.Keys {
		t.Errorf("the model says %+v", is)
	}
}

// A daemon that finds its port taken keeps the lab running, says so, and serves once it can.
func TestAPI_ComesBackAfterARestart(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	c := client{t, "any", "any", nil}
	addr := b.api(control.APIRequest{Listen: anyPort})
	c.want(addr, "Action=CreateKeyPair&KeyName=k", 200, "keyMaterial")
	b.Close()
	other, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b.open()
	lab, err := b.Lab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lab.API == nil || lab.API.Listen != addr || !strings.Contains(lab.API.Problem, "in use") || !strings.Contains(strings.Join(lab.Notes, "\n"), addr) {
		t.Errorf("the lab says %+v, %q", lab.API, lab.Notes)
	}
	other.Close()
	b.openAPI() // as keepAPI does in time
	c.want(addr, "Action=DescribeKeyPairs", 200, "<keyName>k</keyName>")
	if lab, err = b.Lab(t.Context()); err != nil || lab.API.Problem != "" || len(lab.Notes) > 0 {
		t.Errorf("the lab says %+v, %q (%v)", lab.API, lab.Notes, err)
	}
}

// Calls under way when the lab goes down are told so with what clients try again, in AWS's form.
func TestAPI_IsUnavailableWhileTheDaemonEnds(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	c := client{t, "any", "any", nil}
	addr := b.api(control.APIRequest{Listen: anyPort})
	b.stop()
	for range 20 { // the call meets the end in several places
		c.want(addr, "Action=CreateKeyPair&KeyName=k", http.StatusServiceUnavailable, "<Code>Unavailable</Code><Message>The server cannot handle the request: the lab&#39;s daemon is stopping.")
	}
}

func TestAPI_MovesAndEnds(t *testing.T) {
	b := newBench(t)
	if _, err := b.API(t.Context(), &control.APIRequest{Listen: anyPort}); err == nil {
		t.Error("a lab without a cloud serves it")
	}
	b.mustUp(emptyAccount)
	c := client{t, "any", "any", nil}
	first := b.api(control.APIRequest{Listen: anyPort})
	second := b.api(control.APIRequest{Listen: anyPort})
	c.want(second, "Action=DescribeVpcs", 200, "vpcSet")
	gone := func(addr string) {
		t.Helper()
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("somebody listens at %s", addr)
		}
	}
	gone(first)
	b.api(control.APIRequest{Off: true})
	gone(second)
	b.reopen()
	gone(second)
	if is, err := b.API(context.Background(), nil); err != nil || is.Listen != "" {
		t.Errorf("%+v, %v", is, err)
	}
}

// A topology file can name the endpoint; one that does not leaves it as it is.
func TestAPI_OfATopologyFile(t *testing.T) {
	b := newBench(t)
	c := client{t, "any", "any", nil}
	b.mustUp(emptyAccount + "api: {listen: '127.0.0.1:0', delays: aws}\n")
	is := b.Model().Api
	c.want(is.Listen, "Action=DescribeVpcs", 200, "<state>available</state>")
	c.want(is.Listen, "Action=CreateVpc&CidrBlock=10.0.0.0/16", 200, "<state>pending</state>")
	b.mustUp(emptyAccount + "api: {listen: '127.0.0.1:0'}\n")
	if got := b.Model().Api; got.Listen != is.Listen || got.Delays != "" {
		t.Errorf("the second up made %+v of %+v", got, is)
	}
	b.mustUp(emptyAccount)
	c.want(is.Listen, "Action=DescribeVpcs", 200, "vpcSet")
	if err := b.up(emptyAccount + "api: {listen: '192.0.2.1:4566'}\n"); err == nil || !strings.Contains(err.Error(), "--keys") {
		t.Errorf("an address of the network: %v", err)
	}
	c.want(is.Listen, "Action=DescribeVpcs", 200, "vpcSet")
}

// Keys that could not be put in force are not in force after a restart either.
func TestAPI_KeysOfAFailedChange(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	addr := b.api(control.APIRequest{Listen: anyPort, Keys: map[string]string{"OLD": "secret"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.eventually("a change fails", func() bool { // whether it is taken or found too late is chance
		_, err := b.API(ctx, &control.APIRequest{Keys: map[string]string{"NEW": "secret"}})
		if err == nil {
			b.api(control.APIRequest{Keys: map[string]string{"OLD": "secret"}})
		}
		return err != nil
	})
	for range 2 {
		client{t, "OLD", "secret", nil}.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
		client{t, "NEW", "secret", nil}.want(addr, "Action=DescribeVpcs", 401, "AuthFailure")
		b.reopen()
	}
	b.api(control.APIRequest{Off: true})
	if _, err := os.Stat(b.keysFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("secrets are left: %v", err)
	}
}

// On its own port the endpoint may take more addresses, or less.
func TestAPI_WidensOnItsPort(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	addr := b.api(control.APIRequest{Listen: anyPort})
	keys := map[string]string{"AKID": "secret"}
	wide := b.api(control.APIRequest{Listen: strings.Replace(addr, "127.0.0.1", "0.0.0.0", 1), Keys: keys})
	if wide != strings.Replace(addr, "127.0.0.1", "0.0.0.0", 1) { // and not [::], which nobody asked for
		t.Errorf("it is at %s", wide)
	}
	client{t, "AKID", "secret", nil}.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
	if narrow := b.api(control.APIRequest{Listen: addr}); narrow != addr {
		t.Errorf("it is at %s", narrow)
	}
	client{t, "AKID", "secret", nil}.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
}

// Clients that keep their connections and say nothing do not keep others out.
func TestAPI_IdleConnectionsMakeRoom(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	addr := b.api(control.APIRequest{Listen: anyPort})
	for n := range apiConnections + 50 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, e := bufio.NewReader(c).ReadString('\n'); err != nil || e != nil {
			t.Fatalf("connection %d gets no answer: %v, %v", n, err, e)
		}
	}
}

// A file whose api cannot be has changed nothing else.
func TestAPI_OfAFileIsCheckedFirst(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	if err := b.up(emptyAccount + "vpcs: {v: {cidr_block: 10.0.0.0/16}}\napi: {listen: '192.0.2.1:4566'}\n"); err == nil || !strings.Contains(err.Error(), "other machines") {
		t.Errorf("%v", err)
	}
	if n := b.Model().Vpcs.Len(); n != 1 {
		t.Errorf("%d VPCs", n)
	}
}

// Every name that a key pair may have is one that its file may have.
func TestKeyFiles(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	files := map[string]string{}
	long := strings.Repeat("k", 254)
	for _, name := range []string{"k", ".k", "_.k", "..", "a b;$(c)", long + "1", long + "2"} {
		out := mustCall[vpc.CreateKeyPairOutput](b, "CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: name})
		path, err := b.keyPath(name)
		if err != nil || filepath.Dir(path) != filepath.Join(b.cfg.StateDir, "keys") {
			t.Fatalf("%s: %s, %v", name, path, err)
		}
		if is, err := os.ReadFile(path); err != nil || string(is) != out.KeyMaterial {
			t.Errorf("%s: %v", name, err)
		}
		if other := files[path]; other != "" {
			t.Errorf("%s and %s have one file", name, other)
		}
		files[path] = name
	}
}

// A pair that does not come about leaves no private key.
func TestKeyFiles_OfAFailedChange(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	path, err := b.keyPath("k")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Close(); err != nil { // as on a full disk, no commit succeeds
		t.Fatal(err)
	}
	if _, err := call[vpc.CreateKeyPairOutput](b, "CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: "k"}); err == nil {
		t.Fatal("the pair was made")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", path, err)
	}
}
