package topology

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Options of Converge.
type Options struct {
	// Prune removes objects that no file made as well.
	Prune bool
	// Replace allows changes that destroy the disk of an instance or Internet host.
	Replace bool
	// Lab is the name of a new lab; "" means the file's name.
	Lab string
	// Join and Hosts are as `join` and `join_hosts` in the file; Hosts is never without Join.
	Join, Hosts bool
}

// Verb is what Converge does to an object.
type Verb string

const (
	Create  Verb = "create"
	Update  Verb = "update"
	Replace Verb = "replace" // deleted and made anew
	Delete  Verb = "delete"
	Start   Verb = "start"
	Stop    Verb = "stop"
)

// Change is one difference between a model and a file, and what is done about it.
type Change struct {
	Verb   Verb
	Kind   string // "subnet"
	Name   string
	Detail string // what differs, or ""
}

func (c Change) String() string {
	s := fmt.Sprintf("%s %s %s", c.Verb, c.Kind, c.Name)
	if c.Detail != "" {
		s += ": " + c.Detail
	}
	return s
}

// KeyMaterial holds the private halves of the key pairs that a Converge made, by
// their keys in Model.KeyPairs, in OpenSSH's format. They are in no model: who converges
// keeps them.
type KeyMaterial map[string][]byte

// Converge makes the model like the file and returns the new model, what was
// changed, and the keys that were made. m may be nil, for a new lab; it is not
// changed. A second Converge of the same file finds nothing to do.
//
// Only objects that a file made are changed or removed, unless opt.Prune says
// otherwise; what others did to them is put back. The error is an Errors; then
// nothing has changed.
func (f *File) Converge(m *vpc.Model, now time.Time, opt Options) (vpc.Model, []Change, KeyMaterial, error) {
	return f.converge(m, now, opt, newKeyPair)
}

// converger is one Converge at work. Its methods do nothing once err is set.
type converger struct {
	f       *File
	tx      *vpc.Tx
	opt     Options
	newKey  func(name string) (public string, private []byte, err error)
	err     Errors
	changes []Change
	keys    KeyMaterial
	ids     map[string]string // Source -> ID of the object it made
	replace map[string]string // Source -> why its object has to be made anew
	fresh   map[string]bool   // Source of what this Converge made
	details []string          // what was done to the object at hand
	head    *Head             // the object at hand
	line    int               // the line at hand, for errors
}

func (f *File) converge(m *vpc.Model, now time.Time, opt Options, newKey func(string) (string, []byte, error)) (vpc.Model, []Change, KeyMaterial, error) {
	c := &converger{f: f, opt: opt, newKey: newKey, keys: KeyMaterial{}, ids: map[string]string{},
		replace: map[string]string{}, fresh: map[string]bool{}}
	c.begin(m, now)
	c.settings()
	c.openRegions()
	c.index()
	c.planReplacements()
	left := c.removals()
	left = c.remove(left, false)
	c.defaultVpcs()
	c.network()
	c.publicAddresses()
	c.machines()
	c.connect()
	c.remove(left, true)
	c.outside()
	if c.err != nil {
		return vpc.Model{}, nil, nil, c.err
	}
	return c.tx.Model, c.changes, c.keys, nil
}

// begin opens the working copy, of a fresh account where there is no model yet.
func (c *converger) begin(m *vpc.Model, now time.Time) {
	call := vpc.Call{Now: now, AtOnce: true}
	if m == nil || m.Lab == "" {
		lab := c.opt.Lab
		if lab == "" {
			lab = c.f.Name.V
		}
		n := 0
		call.NewID = func(prefix string) string { n++; return deriveID(lab, "account", prefix, n) }
		fresh, err := vpc.New(lab, c.f.Account.V, c.f.Region.V, c.f.pools(), call, false)
		if err != nil {
			c.fail(0, nil, err)
			m = &vpc.Model{}
		} else {
			m = &fresh
		}
	}
	c.tx = vpc.Begin(m, call)
	c.tx.Call.NewID = c.newID
}

// newID derives an ID from the lab, the object's key in the file and how often
// that key had one of the kind before (DESIGN.md): a file always gives the same
// IDs, and an object that is replaced gets a new one.
func (c *converger) newID(prefix string) string {
	key := c.tx.Call.Source + "/" + strings.TrimSuffix(prefix, "-")
	n := 1
	if had := c.tx.Incarnations.Get(key); had != nil {
		n = *had + 1
	}
	c.tx.Incarnations.Put(key, &n)
	return deriveID(c.tx.Lab, c.tx.Call.Source, prefix, n)
}

func deriveID(lab, source, prefix string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", lab, source, prefix, n))
	return prefix + "0" + hex.EncodeToString(h[:8])
}

// settings holds the lab's own settings against the file's.
func (c *converger) settings() {
	if c.err != nil {
		return
	}
	if home := c.tx.Model.Region; home != c.f.Region.V {
		c.fail(c.f.Region.Line, nil, fmt.Errorf("region: the lab is in %s; a lab cannot move (take it down first)", home))
	}
	if c.tx.Account != c.f.Account.V {
		c.fail(c.f.Account.Line, nil, fmt.Errorf("account: the lab is that of account %s; that cannot change (take it down first)", c.tx.Account))
	}
	var what []string
	if pools := c.f.pools(); !slices.Equal(pools, c.tx.PublicPools) {
		c.tx.PublicPools = slices.Clone(pools)
		what = append(what, fmt.Sprintf("public pools %v", pools))
	}
	if images := c.f.images(); len(images) != len(c.tx.Images) || len(images) > 0 && !reflect.DeepEqual(images, c.tx.Images) {
		c.tx.Images = images
		what = append(what, fmt.Sprintf("images %v", slices.Sorted(maps.Keys(images))))
	}
	if quotas := c.f.Quotas.V; len(quotas) != len(c.tx.Quotas) || len(quotas) > 0 && !reflect.DeepEqual(quotas, c.tx.Quotas) {
		c.tx.Quotas = quotas
		what = append(what, fmt.Sprintf("quotas %v", quotas))
	}
	c.tx.Expectations = c.f.Expectations() // no object: nothing to tell of in a plan
	if len(what) > 0 && c.tx.Vpcs.Len() > 0 {
		c.changes = append(c.changes, Change{Update, "lab", c.tx.Lab, strings.Join(what, "; ")})
	}
}

// index notes which objects the file made before.
func (c *converger) index() {
	note := func(source, id string, gone bool) {
		if source != "" && !gone {
			c.ids[source] = id
		}
	}
	m := &c.tx.Model
	for id, o := range m.Vpcs.All() {
		note(o.Source, string(id), o.Source == defaultVpcSource)
	}
	for id, o := range m.Subnets.All() {
		note(o.Source, string(id), o.Source == defaultVpcSource)
	}
	for id, o := range m.InternetGateways.All() {
		note(o.Source, string(id), o.Source == defaultVpcSource)
	}
	for id, o := range m.NatGateways.All() {
		note(o.Source, string(id), natGone(o))
	}
	for id, o := range m.Addresses.All() {
		note(o.Source, string(id), false)
	}
	for id, o := range m.RouteTables.All() {
		note(o.Source, string(id), !strings.HasPrefix(o.Source, "route_tables."))
	}
	for id, o := range m.SecurityGroups.All() {
		note(o.Source, string(id), !strings.HasPrefix(o.Source, "security_groups."))
	}
	for id, o := range m.NetworkAcls.All() {
		note(o.Source, string(id), !strings.HasPrefix(o.Source, "network_acls."))
	}
	for id, o := range m.DhcpOptions.All() {
		note(o.Source, string(id), false)
	}
	for id, o := range m.KeyPairs.All() {
		note(o.Source, id, false)
	}
	for id, o := range m.NetworkInterfaces.All() {
		note(o.Source, string(id), !strings.HasPrefix(o.Source, "network_interfaces.") || !o.Deleted.IsZero())
	}
	for id, o := range m.Instances.All() {
		note(o.Source, string(id), instanceGone(o))
	}
	for id, o := range m.InternetHosts.All() {
		note(o.Source, string(id), !o.Deleted.IsZero() || o.State == vpc.StateTerminated || o.State == vpc.StateShuttingDown)
	}
	for id, o := range m.FlowLogs.All() {
		note(o.Source, string(id), false)
	}
}

func natGone(n *vpc.NatGateway) bool {
	return !n.Deleted.IsZero() || n.State == "deleting" || n.State == "deleted"
}

func instanceGone(i *vpc.Instance) bool {
	return !i.Deleted.IsZero() || i.State == vpc.StateTerminated || i.State == vpc.StateShuttingDown
}

// id is that of an object of the file, "" while there is none.
func (c *converger) id(kind, name string) string { return c.ids[kind+"."+name] }

// present tells whether the object exists and may stay, and returns its ID.
func (c *converger) present(h *Head) (string, bool) {
	id := c.ids[h.Source()]
	_, anew := c.replace[h.Source()]
	return id, id != "" && !anew
}

// at makes h the object at hand: what operations make is its, in its Region, and errors
// name it.
func (c *converger) at(h *Head) {
	c.head, c.line = h, h.Line
	c.tx.Call.Source, c.tx.Call.Region = h.Source(), c.f.regionOf(h.Kind, h.Name)
	c.details = nil
}

// did notes what was done to the object at hand.
func (c *converger) did(format string, a ...any) {
	if c.err == nil {
		c.details = append(c.details, fmt.Sprintf(format, a...))
	}
}

// made notes that the object at hand was created.
func (c *converger) made(id string) {
	if c.err != nil {
		return
	}
	source := c.head.Source()
	verb := Create
	if _, anew := c.replace[source]; anew {
		verb = Replace
	}
	c.ids[source], c.fresh[source] = id, true
	c.changes = append(c.changes, Change{verb, singular(c.head.Kind), c.head.Name, c.replace[source]})
}

// done turns what was done to the object at hand into one change; what was done
// to complete a new object goes without saying.
func (c *converger) done() {
	if c.err == nil && len(c.details) > 0 && !c.fresh[c.head.Source()] {
		c.changes = append(c.changes, Change{Update, singular(c.head.Kind), c.head.Name, strings.Join(c.details, "; ")})
	}
	c.details = nil
}

// fail notes the first error, or one more of those that can be told in one go.
func (c *converger) fail(line int, h *Head, err error) {
	e := &Error{File: c.f.Path, Line: line, Reason: err.Error(), Err: err}
	if h != nil {
		e.Object = h.String()
	}
	c.err = append(c.err, e)
}

// call runs the operation that takes in. After an error it does nothing any more
// and returns an empty output.
func call[Output any](c *converger, in any) *Output {
	if c.err != nil {
		return new(Output)
	}
	out, err := c.tx.Run(strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input"), in)
	if err != nil {
		c.fail(c.line, c.head, err)
		return new(Output)
	}
	return out.(*Output)
}

// newKeyPair makes an ed25519 key pair: the line for authorized_keys and the
// private key in OpenSSH's format.
func newKeyPair(name string) (public string, private []byte, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, name)
	if err != nil {
		return "", nil, err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub))) + " " + name, pem.EncodeToMemory(block), nil
}

// placeholderKeys stands in for newKeyPair where a file is only checked.
func placeholderKeys(string) (string, []byte, error) {
	return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f check", nil, nil
}
