package topology

import (
	"fmt"
	"net/netip"
	"regexp"

	"golang.org/x/crypto/ssh"
)

func (c *checker) routeTables() {
	user := map[string]*RouteTable{}
	main := map[string]*RouteTable{}
	edge := map[string]*RouteTable{}
	for _, t := range c.f.RouteTables.List {
		c.routes(&t.Head, t.Routes, t.Vpc.V, "routes")
		c.subnetsOf(&t.Head, t.Subnets, t.Vpc.V)
		for _, s := range t.Subnets.V {
			if o := user[s.V]; o != nil && o != t {
				c.add(s.Line, t.String(), "subnets: %s has %s already (line %d); a subnet has one route table", s.V, o, o.Line)
			}
			user[s.V] = t
		}
		if t.Main.V {
			if o := main[t.Vpc.V]; o != nil {
				c.add(t.Main.Line, t.String(), "main: %s is the main one of vpc %s already (line %d)", o, t.Vpc.V, o.Line)
			}
			main[t.Vpc.V] = t
		}
		if !t.Gateway.Set {
			continue
		}
		if g := c.f.InternetGateways.Get(t.Gateway.V); g != nil && g.Vpc.V != t.Vpc.V {
			c.add(t.Gateway.Line, t.String(), "gateway: %s is not attached to vpc %s", g, t.Vpc.V)
		}
		if t.Main.V {
			c.add(t.Gateway.Line, t.String(), "gateway: the main table cannot be a gateway's (RT-14)")
		}
		if o := edge[t.Gateway.V]; o != nil {
			c.add(t.Gateway.Line, t.String(), "gateway: %s has %s already (line %d)", t.Gateway.V, o, o.Line)
		}
		edge[t.Gateway.V] = t
	}
	for _, v := range c.f.Vpcs.List {
		c.routes(&v.Head, v.MainRouteTable.V.Routes, v.Name, "main_route_table.routes")
	}
}

func (c *checker) routes(h *Head, routes List[Route], vpc, key string) {
	lines := map[netip.Prefix]int{}
	for i, r := range routes.V {
		at := fmt.Sprintf("%s[%d]", key, i)
		if dest := r.V.CidrBlock; dest.Set {
			if line := lines[dest.V]; line != 0 {
				c.add(dest.Line, h.String(), "%s: %s has a route already (line %d)", at, dest.V, line)
			}
			lines[dest.V] = dest.Line
		}
		targets := 0
		for _, t := range []Value[string]{r.V.Gateway, r.V.NatGateway, r.V.NetworkInterface, r.V.Instance} {
			if t.Set || refused(t) {
				targets++
			}
		}
		if targets != 1 {
			c.add(r.Line, h.String(), "%s: has %d targets; give one of gateway, nat_gateway, network_interface and instance", at, targets)
			continue
		}
		c.target(h, r.V, vpc, at)
	}
}

// target checks that a route's target is in the table's VPC.
func (c *checker) target(h *Head, r Route, vpc, at string) {
	var other string
	var t Value[string]
	switch {
	case r.Gateway.Set:
		t = r.Gateway
		if g := c.f.InternetGateways.Get(t.V); g != nil {
			if !g.Vpc.Set {
				c.add(t.Line, h.String(), "%s: %s is not attached to a VPC", at, g)
			}
			other = g.Vpc.V
		} else if t.V == DefaultName {
			other = DefaultName
		}
	case r.NatGateway.Set:
		t = r.NatGateway
		if n := c.f.NatGateways.Get(t.V); n != nil {
			other = c.vpcOf(n.Subnet.V)
		}
	case r.NetworkInterface.Set:
		t = r.NetworkInterface
		if n := c.f.NetworkInterfaces.Get(t.V); n != nil {
			other = c.vpcOf(n.Subnet.V)
		}
	case r.Instance.Set:
		t = r.Instance
		if i := c.f.Instances.Get(t.V); i != nil {
			other = c.vpcOf(i.Subnet.V)
		}
	}
	if other != "" && vpc != "" && other != vpc {
		c.add(t.Line, h.String(), "%s: %s is in vpc %s, not in %s", at, t.V, other, vpc)
	}
}

func (c *checker) vpcOf(subnet string) string {
	at, _ := c.spotOf(subnet, "")
	return at.vpc
}

// subnetsOf checks that what a table or ACL is associated with is in its VPC.
func (c *checker) subnetsOf(h *Head, subnets List[string], vpc string) {
	for _, s := range subnets.V {
		if at := c.vpcOf(s.V); at != "" && vpc != "" && at != vpc {
			c.add(s.Line, h.String(), "subnets: subnet %s is in vpc %s, not in %s", s.V, at, vpc)
		}
	}
}

// Texts that AWS takes as description of a group or rule (SG-04).
var groupText = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

func (c *checker) securityGroups() {
	for _, g := range c.f.SecurityGroups.List {
		if !groupText.MatchString(g.Description.V) {
			c.add(g.Description.Line, g.String(), "description: AWS takes up to 255 of the characters a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*")
		}
		c.groupRules(&g.Head, g.Ingress, g.Vpc.V, "ingress")
		c.groupRules(&g.Head, g.Egress, g.Vpc.V, "egress")
	}
	for _, v := range c.f.Vpcs.List {
		c.groupRules(&v.Head, v.DefaultSecurityGroup.V.Ingress, v.Name, "default_security_group.ingress")
		c.groupRules(&v.Head, v.DefaultSecurityGroup.V.Egress, v.Name, "default_security_group.egress")
	}
}

func (c *checker) groupRules(h *Head, rules List[GroupRule], vpc, key string) {
	type same struct {
		traffic
		cidr  netip.Prefix
		group string
	}
	seen := map[same]bool{}
	for i, r := range rules.V {
		at := fmt.Sprintf("%s[%d]", key, i)
		if why := r.V.keys().wrong(); why != "" {
			c.add(r.Line, h.String(), "%s: %s", at, why)
		}
		if len(r.V.CidrBlocks.V)+len(r.V.SecurityGroups.V) == 0 && !r.V.Self.V && !refused(r.V.CidrBlocks) && !refused(r.V.SecurityGroups) {
			c.add(r.Line, h.String(), "%s: names no other side; give cidr_blocks, security_groups or self: true", at)
		}
		if !groupText.MatchString(r.V.Description.V) {
			c.add(r.V.Description.Line, h.String(), "%s: description: AWS takes up to 255 of the characters a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*", at)
		}
		for _, g := range r.V.SecurityGroups.V {
			if group := c.f.SecurityGroups.Get(g.V); group != nil && group.Vpc.V != vpc && group.Vpc.V != "" {
				c.add(g.Line, h.String(), "%s: %s is in vpc %s, not in %s", at, group, group.Vpc.V, vpc)
			}
		}
		for _, e := range r.V.entries() {
			id := same{e.traffic, e.cidr, e.group}
			if id.group == h.Name && h.Kind == "security_groups" || id.group == DefaultName && h.Kind == "vpcs" {
				id.group = selfGroup
			}
			if seen[id] {
				c.add(r.Line, h.String(), "%s: the same rule is there already", at)
			}
			seen[id] = true
		}
	}
}

func (c *checker) networkAcls() {
	user := map[string]*NetworkAcl{}
	for _, a := range c.f.NetworkAcls.List {
		c.subnetsOf(&a.Head, a.Subnets, a.Vpc.V)
		for _, s := range a.Subnets.V {
			if o := user[s.V]; o != nil && o != a {
				c.add(s.Line, a.String(), "subnets: %s has %s already (line %d); a subnet has one network ACL", s.V, o, o.Line)
			}
			user[s.V] = a
		}
		c.aclRules(&a.Head, a.Ingress, "ingress")
		c.aclRules(&a.Head, a.Egress, "egress")
	}
	for _, v := range c.f.Vpcs.List {
		c.aclRules(&v.Head, v.DefaultNetworkAcl.V.Ingress, "default_network_acl.ingress")
		c.aclRules(&v.Head, v.DefaultNetworkAcl.V.Egress, "default_network_acl.egress")
	}
}

func (c *checker) aclRules(h *Head, rules List[AclRule], key string) {
	lines := map[int]int{}
	for i, r := range rules.V {
		at := fmt.Sprintf("%s[%d]", key, i)
		if no := r.V.RuleNo; no.Set {
			if line := lines[no.V]; line != 0 {
				c.add(no.Line, h.String(), "%s: rule_no %d is there already (line %d)", at, no.V, line)
			}
			lines[no.V] = no.Line
		}
		if why := r.V.keys().wrong(); why != "" {
			c.add(r.Line, h.String(), "%s: %s", at, why)
		}
	}
}

func (c *checker) dhcpOptions() {
	for _, o := range c.f.DhcpOptions.List {
		servers := 0
		for key, list := range map[string]List[string]{"domain_name_servers": o.DomainNameServers, "ntp_servers": o.NtpServers, "netbios_name_servers": o.NetbiosNameServers} {
			servers += len(list.V)
			if most := map[bool]int{true: 8, false: 4}[key == "ntp_servers"]; len(list.V) > most {
				c.add(list.Line, o.String(), "%s: at most %d (DH-01)", key, most)
			}
			for _, s := range list.V {
				if key == "domain_name_servers" && s.V == "AmazonProvidedDNS" {
					continue
				}
				switch a, err := netip.ParseAddr(s.V); {
				case err != nil || a.Zone() != "":
					c.add(s.Line, o.String(), "%s: %q is no address", key, shorten(s.V))
				case !a.Is4() && key == "netbios_name_servers":
					c.add(s.Line, o.String(), "%s: %q is no IPv4 address", key, shorten(s.V))
				}
			}
		}
		if servers == 0 && !o.DomainName.Set && !o.NetbiosNodeType.Set && !o.Ipv6AddressPreferredLeaseTime.Set {
			c.add(o.Line, o.String(), "has no option")
		}
	}
}

func (c *checker) keyPairs() {
	for _, k := range c.f.KeyPairs.List {
		if !k.PublicKey.Set {
			continue
		}
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey.V)); err != nil {
			c.add(k.PublicKey.Line, k.String(), "public_key: is no key in the form of authorized_keys (ssh-ed25519 AAAA…)")
		}
	}
}
