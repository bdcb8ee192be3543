package imds

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

var start = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// site is a public and a private instance; tests change it by operations.
const site = `
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16, secondary_cidr_blocks: [10.1.0.0/16], enable_dns_hostnames: true}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.1.0.0/24}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {nat: {}, free: {}}
nat_gateways: {nat: {subnet: public, elastic_ip: nat, private_ip: 10.0.0.50}}
key_pairs: {me: {public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGI9TMYy8nQ5oZ8yZuJeuiB4PPKBzHC1B4A1GZqmO8zB"}}
security_groups: {web: {vpc: main}, admin: {vpc: main}}
instances:
  web:
    subnet: public
    private_ip: 10.0.0.10
    secondary_private_ips: [10.0.0.11]
    security_groups: [web, admin]
    key_name: me
    user_data: "#!/bin/sh\necho hello\n"
    tags: {Stage: test, Empty: ""}
  db: {subnet: private, private_ip: 10.1.0.10, instance_type: t2.micro}
network_interfaces:
  second: {subnet: private, private_ips: [10.1.0.20], attachment: {instance: web}}
`

// lab is a model with the server of one of its VPCs.
type lab struct {
	testing.TB
	*vpc.Tx
	now    time.Time
	server *Server
}

func newLab(t testing.TB, yaml string) *lab {
	t.Helper()
	f, err := topology.Parse("test.yaml", []byte("version: 1\nname: test\nregion: ap-northeast-1\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, start, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{TB: t, Tx: vpc.Begin(&m, vpc.Call{Now: start, NewID: vpc.RandomID}), now: start}
	for id := range l.Instances.All() {
		l.InstanceRunning(id)
	}
	l.server = l.of("main")
	return l
}

// of makes the server of the VPC of that name.
func (l *lab) of(name string) *Server {
	l.Helper()
	keys, err := OpenKeys(l.TempDir(), "test")
	if err != nil {
		l.Fatal(err)
	}
	for id, v := range l.Vpcs.All() {
		if v.Name() == name {
			return &Server{cfg: Config{VPC: id, Model: l.model, Keys: keys, Now: func() time.Time { return l.now }, Log: slog.New(slog.DiscardHandler)}}
		}
	}
	l.Fatalf("no VPC %s", name)
	return nil
}

// model is what is committed: a copy that the operations of the test do not change.
func (l *lab) model() *vpc.Model {
	m := l.Clone()
	return &m
}

// do runs an operation in which names may stand for IDs.
func (l *lab) do(in any) any {
	l.Helper()
	if err := vpc.ResolveNames(&l.Model, "", in); err != nil {
		l.Fatalf("%T: %v", in, err)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(typeName(in), "*"), "vpc."), "Input")
	out, err := l.Run(name, in)
	if err != nil {
		l.Fatalf("%s: %v", name, err)
	}
	return out
}

func (l *lab) options(instance string, in vpc.ModifyInstanceMetadataOptionsInput) {
	l.Helper()
	in.InstanceId = vpc.InstanceID(instance)
	l.do(&in)
}

func (l *lab) instance(name string) *vpc.Instance {
	l.Helper()
	for _, i := range l.Instances.All() {
		if i.Name() == name {
			return i
		}
	}
	l.Fatalf("no instance %s", name)
	return nil
}

// Addresses of the site's instances.
const (
	web = "10.0.0.10"
	db  = "10.1.0.10"
)

// ask sends a request from an address; headers are names and values in turn.
func (l *lab) ask(method, from, path string, headers ...string) *http.Response {
	l.Helper()
	return askServer(l.server, method, from, path, headers...)
}

func askServer(s *Server, method, from, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, "http://169.254.169.254"+path, nil)
	r.RemoteAddr = from + ":40000"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// get is what a version 1 client finds; "404" and the like if it finds nothing.
func (l *lab) get(from, path string) string {
	l.Helper()
	r := l.ask("GET", from, path)
	if r.StatusCode != http.StatusOK {
		return r.Status[:3]
	}
	return body(r)
}

// put asks for a token that lasts so many seconds.
func (l *lab) put(from, seconds string) string {
	l.Helper()
	r := l.ask("PUT", from, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", seconds)
	if r.StatusCode != http.StatusOK {
		l.Fatalf("PUT: %s", r.Status)
	}
	return body(r)
}

// wants compares what an instance finds, by path below latest/meta-data/.
func (l *lab) wants(from string, want map[string]string) {
	l.Helper()
	for path, text := range want {
		if got := l.get(from, "/latest/meta-data/"+path); got != text {
			l.Errorf("%s: got %q, want %q", path, got, text)
		}
	}
}
