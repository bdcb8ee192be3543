package imds

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

func typeName(v any) string { return fmt.Sprintf("%T", v) }

const (
	putTTL = "X-aws-ec2-metadata-token-ttl-seconds"
	token  = "X-aws-ec2-metadata-token"
)

func TestIM01_AnswersAreTextAndErrorsAPage(t *testing.T) {
	l := newLab(t, site)
	r := l.ask("GET", web, "/latest/meta-data/instance-id")
	id := string(l.instance("web").ID)
	for name, want := range map[string]string{"Content-Type": "text/plain", "Server": "EC2ws", "Content-Length": fmt.Sprint(len(id)),
		"Last-Modified": "Wed, 01 Apr 2026 12:00:00 GMT"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := body(r); got != id {
		t.Errorf("instance-id %q, want %q", got, id)
	}
	head := l.ask("HEAD", web, "/latest/meta-data/instance-id")
	if head.StatusCode != 200 || head.Header.Get("Content-Length") != fmt.Sprint(len(id)) {
		t.Errorf("HEAD: %s %v", head.Status, head.Header)
	}
	missing := l.ask("GET", web, "/latest/meta-data/nothing")
	if page := body(missing); missing.StatusCode != 404 || missing.Header.Get("Content-Type") != "text/html" || !strings.Contains(page, "<h1>404 - Not Found</h1>") {
		t.Errorf("%s %v\n%s", missing.Status, missing.Header, page)
	}
}

func TestIM01_StatusByMethodAndPath(t *testing.T) {
	l := newLab(t, site)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 200, ""},
		{"GET", "/latest", 200, ""},
		{"GET", "/latest/meta-data//hostname/", 200, ""},
		{"GET", "/2021-03-23/meta-data/hostname", 200, ""},
		{"GET", "/2021-03-24/meta-data/hostname", 404, ""},
		{"GET", "/meta-data/hostname", 404, ""},
		{"GET", "/latest/meta-data/hostname/more", 404, ""},
		{"GET", "/latest/meta-data/..", 404, ""},
		{"GET", "/latest/api", 404, ""},
		{"GET", "/latest/api/token", 405, "OPTIONS, PUT"},
		{"POST", "/latest/api/token", 405, "OPTIONS, PUT"},
		{"POST", "/latest/meta-data/", 405, "OPTIONS, GET, HEAD"},
		{"DELETE", "/latest/user-data", 405, "OPTIONS, GET, HEAD"},
		{"PUT", "/latest/meta-data/hostname", 405, "OPTIONS, GET, HEAD"},
		{"OPTIONS", "/latest/api/token", 200, "OPTIONS, PUT"},
		{"OPTIONS", "/latest/", 200, "OPTIONS, GET, HEAD"},
	} {
		r := l.ask(c.method, web, c.path)
		if r.StatusCode != c.status || r.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q, want %d, %q", c.method, c.path, r.Status, r.Header.Get("Allow"), c.status, c.allow)
		}
	}
}

func TestIM02_Tokens(t *testing.T) {
	l := newLab(t, site)
	for name, c := range map[string]struct {
		path    string
		headers []string
		want    int
	}{
		"no lifetime":     {"/latest/api/token", nil, 400},
		"empty lifetime":  {"/latest/api/token", []string{putTTL, ""}, 400},
		"a word":          {"/latest/api/token", []string{putTTL, "long"}, 400},
		"zero":            {"/latest/api/token", []string{putTTL, "0"}, 400},
		"negative":        {"/latest/api/token", []string{putTTL, "-1"}, 400},
		"too long":        {"/latest/api/token", []string{putTTL, "21601"}, 400},
		"far too long":    {"/latest/api/token", []string{putTTL, "99999999999999999999"}, 400},
		"shortest":        {"/latest/api/token", []string{putTTL, "1"}, 200},
		"longest":         {"/latest/api/token", []string{putTTL, "21600"}, 200},
		"through a proxy": {"/latest/api/token", []string{putTTL, "60", "X-Forwarded-For", "198.51.100.7"}, 403},
		"of a version":    {"/2021-01-03/api/token", []string{putTTL, "60"}, 403},
	} {
		if r := l.ask("PUT", web, c.path, c.headers...); r.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, r.Status, c.want)
		}
	}
	r := l.ask("PUT", web, "/latest/api/token", putTTL, "60")
	if got := body(r); len(got) != 56 || r.Header.Get(putTTL) != "60" || r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("token %q, headers %v", got, r.Header)
	}
}

func TestIM02_ATokenIsForItsInstanceAndTime(t *testing.T) {
	l := newLab(t, site)
	good := l.put(web, "60")
	read := func(from, with string) *http.Response {
		return l.ask("GET", from, "/latest/meta-data/instance-id", token, with)
	}
	status := func(what, from, with string, want int) {
		t.Helper()
		if r := read(from, with); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", what, r.Status, want)
		}
	}
	if r := read(web, good); r.StatusCode != 200 || r.Header.Get(putTTL) != "60" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	status("another address of the instance", "10.1.0.20", good, 200)
	// A header makes it a request of version 2, also where version 1 would do.
	status("another instance", db, good, 401)
	status("empty", web, "", 401)
	status("made up", web, strings.Repeat("A", len(good)), 401)
	for i := range good {
		forged := []byte(good)
		forged[i] = map[bool]byte{true: 'B', false: 'A'}[forged[i] == 'A']
		if i < len(good)-2 { // behind it is padding
			status(fmt.Sprint("changed at ", i), web, string(forged), 401)
		}
	}
	l.now = l.now.Add(59 * time.Second)
	if r := read(web, good); r.StatusCode != 200 || r.Header.Get(putTTL) != "1" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	l.now = l.now.Add(time.Second)
	status("at its end", web, good, 401)
}

// A daemon started anew takes the tokens of the one before it, and other labs' never.
func TestIM02_TokensOutliveTheDaemon(t *testing.T) {
	l := newLab(t, site)
	good := l.put(web, "60")
	old := l.server.cfg.Keys
	again, err := OpenKeys(old.dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	l.server.cfg.Keys = again
	if r := l.ask("GET", web, "/latest/meta-data/", token, good); r.StatusCode != 200 {
		t.Errorf("after a restart: %s", r.Status)
	}
	if l.server.cfg.Keys, err = OpenKeys(t.TempDir(), "other"); err != nil {
		t.Fatal(err)
	}
	if r := l.ask("GET", web, "/latest/meta-data/", token, good); r.StatusCode != 401 {
		t.Errorf("in another lab: %s", r.Status)
	}
}

func TestIM02_IM03_RequiredAndDisabled(t *testing.T) {
	l := newLab(t, site)
	good := l.put(web, "60")
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{HttpTokens: "required"})
	status := func(want int, method, from string, headers ...string) {
		t.Helper()
		path := "/latest/meta-data/"
		if method == "PUT" {
			path = "/latest/api/token"
		}
		if r := l.ask(method, from, path, headers...); r.StatusCode != want {
			t.Errorf("%s from %s with %v: %s, want %d", method, from, headers, r.Status, want)
		}
	}
	status(401, "GET", web)
	status(401, "HEAD", web)
	status(200, "GET", web, token, good)
	status(200, "GET", db)
	if r := l.ask("GET", web, "/"); r.StatusCode != 401 {
		t.Errorf("the list of versions: %s", r.Status)
	}
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{HttpEndpoint: "disabled"})
	status(403, "GET", web)
	status(403, "GET", web, token, good)
	status(403, "PUT", web, putTTL, "60")
	status(200, "GET", db)
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{HttpEndpoint: "enabled", HttpTokens: "optional"})
	status(200, "GET", web)
	status(200, "PUT", web, putTTL, "60")
}

// twins are two VPCs with the same ranges and addresses.
const twins = `
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}, twin: {cidr_block: 10.0.0.0/16}}
subnets:
  main: {vpc: main, cidr_block: 10.0.0.0/24}
  twin: {vpc: twin, cidr_block: 10.0.0.0/24}
instances:
  here: {subnet: main, private_ip: 10.0.0.10, user_data: here}
  there: {subnet: twin, private_ip: 10.0.0.10, user_data: there}
  alone: {subnet: twin, private_ip: 10.0.0.11}
`

func TestIM01_VPCsWithTheSameRanges(t *testing.T) {
	l := newLab(t, twins)
	twin := l.of("twin")
	twin.cfg.Keys = l.server.cfg.Keys // of one lab
	for name, s := range map[string]*Server{"here": l.server, "there": twin} {
		if r := askServer(s, "GET", "10.0.0.10", "/latest/user-data"); body(r) != name {
			t.Errorf("%s: not its own user data", name)
		}
	}
	if r := l.ask("GET", "10.0.0.11", "/"); r.StatusCode != 404 {
		t.Errorf("an address of the other VPC: %s", r.Status)
	}
	good := l.put("10.0.0.10", "60")
	if r := askServer(twin, "GET", "10.0.0.10", "/", token, good); r.StatusCode != 401 {
		t.Errorf("a token of the instance with the same address: %s", r.Status)
	}
}

func TestIM01_WhoIsNoInstanceFindsNothing(t *testing.T) {
	l := newLab(t, site)
	for what, from := range map[string]string{"nobody": "10.0.0.77", "the NAT gateway": "10.0.0.50", "the router": "10.0.0.1"} {
		for _, method := range []string{"GET", "PUT"} {
			if r := l.ask(method, from, "/latest/api/token", putTTL, "60"); r.StatusCode != 404 {
				t.Errorf("%s: %s %s", what, method, r.Status)
			}
		}
	}
	id := l.instance("web").ID
	l.do(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{id}})
	if r := l.ask("GET", web, "/"); r.StatusCode != 200 {
		t.Errorf("while it shuts down: %s", r.Status)
	}
	l.InstanceTerminated(id)
	if r := l.ask("GET", web, "/"); r.StatusCode != 404 {
		t.Errorf("terminated: %s", r.Status)
	}
}

func FuzzRequest(f *testing.F) {
	l := newLab(f, site)
	l.do(&vpc.ModifyInstanceMetadataOptionsInput{InstanceId: "web", InstanceMetadataTags: "enabled"})
	m := l.model()
	l.server.cfg.Model = func() *vpc.Model { return m }
	good := l.put(web, "60")
	f.Add("GET", "/latest/meta-data/public-keys/0/openssh-key", good, "")
	f.Add("PUT", "/latest/api/token", "", "21600")
	f.Add("HEAD", "/1.0//meta-data/tags/instance/Name/", "AQAAAA==", "-1")
	f.Fuzz(func(t *testing.T, method, path, given, ttl string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}, RemoteAddr: web + ":1"}
		if given != "" {
			r.Header[tokenHeader] = []string{given}
		}
		if ttl != "" {
			r.Header[ttlHeader] = []string{ttl}
		}
		w := httptest.NewRecorder()
		l.server.ServeHTTP(w, r)
		switch w.Code {
		case 200, 400, 401, 403, 404, 405:
		default:
			t.Fatalf("status %d", w.Code)
		}
		if given != "" && w.Code == 200 && method == http.MethodGet && given != good {
			if _, ok := l.server.cfg.Keys.check(given, string(l.instance("web").ID), start); !ok {
				t.Fatal("read with a token that is not good")
			}
		}
	})
}
