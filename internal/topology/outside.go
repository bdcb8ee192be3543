package topology

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// outsideKeys checks what ties the lab to the machine's own network.
func (c *checker) outsideKeys() {
	allow := c.f.Internet.V.UplinkAllow
	if c.f.JoinHosts.V && !c.f.Join.V && !refused(c.f.Join) {
		c.add(c.f.JoinHosts.Line, "", "join_hosts: only with `join: true` do its names lead anywhere")
	}
	if allow.Set && !c.f.Join.V && c.f.Internet.V.Uplink.V != vpc.UplinkHost && !refused(c.f.Internet.V.Uplink) {
		c.add(allow.Line, "", "internet.uplink_allow: only with `uplink: host` or `join: true` does anything get there")
	}
	for _, p := range allow.V {
		if i := slices.IndexFunc(c.f.pools(), p.V.Overlaps); i >= 0 {
			c.add(p.Line, "", "internet.uplink_allow: %s overlaps the lab's own public pool %s", p.V, c.f.pools()[i])
		}
	}
	if c.f.Join.V {
		if o := c.f.named(vpc.HostName); o != nil {
			c.add(o.Line, o.String(), "has the name of this machine in a lab that it joins: choose another")
		}
	}
}

// named is the instance or Internet host with the name, nil for none.
func (f *File) named(name string) *Head {
	if i := f.Instances.Get(name); i != nil {
		return &i.Head
	}
	if h := f.InternetHosts.Get(name); h != nil {
		return &h.Head
	}
	return nil
}

// outside ties the lab to the machine's own network, or unties it. It comes last: the
// machine's address is one that nothing else in the file asks for.
func (c *converger) outside() {
	if c.err != nil {
		return
	}
	net := &c.f.Internet.V
	want := vpc.Outside{Join: c.f.Join.V || c.opt.Join || c.opt.Hosts, Hosts: c.f.JoinHosts.V || c.opt.Hosts, UplinkAllow: values(net.UplinkAllow)}
	if net.Uplink.V == vpc.UplinkHost {
		want.Uplink = vpc.UplinkHost
	}
	if len(want.UplinkAllow) == 0 {
		want.UplinkAllow = nil
	}
	if h := c.f.named(vpc.HostName); h != nil && want.Join {
		c.fail(h.Line, h, fmt.Errorf("has the name of this machine in a lab that it joins: choose another"))
		return
	}
	was := c.tx.Outside
	if err := c.tx.SetOutside(want); err != nil {
		c.fail(c.f.Internet.Line, nil, fmt.Errorf("internet.public_pools: none is left for this machine: %w", err))
		return
	}
	if is := c.tx.Outside; !reflect.DeepEqual(was, is) {
		c.changes = append(c.changes, outsideChange(&was, &is))
	}
}

// Join ties a lab to the machine's network as Options.Join and Options.Hosts do, without a file. What else ties it stays.
func Join(tx *vpc.Tx, hosts bool) ([]Change, error) {
	was := tx.Outside
	want := was
	want.Join, want.Hosts = true, was.Hosts || hosts
	if reflect.DeepEqual(was, want) {
		return nil, nil
	}
	for id, i := range tx.Instances.All() {
		if i.Name() == vpc.HostName && i.State != vpc.StateTerminated {
			return nil, fmt.Errorf("--join: the instance %s is called %s, as this machine would be: give it another Name tag", id, vpc.HostName)
		}
	}
	for id, h := range tx.InternetHosts.All() {
		if h.HostName == vpc.HostName && h.State != vpc.StateTerminated {
			return nil, fmt.Errorf("--join: the Internet host %s is called %s, as this machine would be: make it with another name", id, vpc.HostName)
		}
	}
	if err := tx.SetOutside(want); err != nil {
		return nil, fmt.Errorf("--join: the public pools have no address left for this machine: %w", err)
	}
	return []Change{outsideChange(&was, &tx.Outside)}, nil
}

// outsideChange tells of the machine's link to the lab as of an object.
func outsideChange(was, is *vpc.Outside) Change {
	change := Change{Update, "link to this machine", vpc.HostName, outsideText(is)}
	switch {
	case !was.Linked():
		change.Verb = Create
	case !is.Linked():
		change.Verb, change.Detail = Delete, ""
	}
	return change
}

func outsideText(o *vpc.Outside) string {
	var words []string
	if o.Join {
		words = append(words, fmt.Sprintf("join as %s", o.Address))
	}
	if o.Hosts {
		words = append(words, "names in its hosts file")
	}
	if o.Uplink != "" {
		words = append(words, "uplink")
	}
	if len(o.UplinkAllow) > 0 {
		words = append(words, "allow "+joinPrefixes(o.UplinkAllow))
	}
	return strings.Join(words, "; ")
}

func joinPrefixes(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}
