package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Adopt is Lab, and gives the objects of the lab to the file, whoever made them: `vpcemu up` with the
// file then changes them, and makes none anew. tx is changed only if that is so. It fails where it would not be,
// and with objects in other Regions that a file made: this one would take them away.
func Adopt(tx *vpc.Tx) (*Result, error) {
	for _, region := range tx.OpenRegions() {
		view := tx.In(region)
		for key := range keysOf(&view) {
			if region != tx.Model.Region {
				return nil, fmt.Errorf("--adopt: %s is in %s, by a file that made it, and this file would be of %s alone: export without --adopt, and go on with the file that made the lab", key, region, tx.Model.Region)
			}
		}
	}
	c, r, err := convertLab(&tx.Model, "")
	switch {
	case err != nil:
		return nil, err
	case r.Invalid != nil:
		return nil, fmt.Errorf("--adopt: the file would not be as `vpcemu up` takes it: %w", r.Invalid)
	}
	m := tx.Clone()
	adopter{c, &m}.all()
	f, err := topology.Parse(fileName(tx.Lab)+".yaml", r.Text)
	if err != nil {
		return nil, err
	}
	if _, changes, _, err := f.Converge(&m, tx.Call.Now, topology.Options{Join: m.Outside.Join, Hosts: m.Outside.Hosts}); err != nil {
		return nil, fmt.Errorf("--adopt: the lab cannot be brought up from the file: %w", err)
	} else if i := slices.IndexFunc(changes, func(c topology.Change) bool {
		return c.Verb != topology.Update && !(c.Verb == topology.Create && c.Kind == "key pair") // of a deleted pair only instances are left
	}); i >= 0 {
		return nil, fmt.Errorf("--adopt: `vpcemu up` with the file would %s: export without --adopt, and bring the file up as another lab", changes[i])
	}
	tx.Model = m
	return r, nil
}

// keysOf are the keys in files that made objects of the model, and the names that Lab knows the objects by.
func keysOf(m *vpc.Model) map[string]string {
	keys := map[string]string{}
	note := func(id string, meta *vpc.Meta, kind string) {
		if strings.HasPrefix(meta.Source, kind+".") && meta.Deleted.IsZero() {
			keys[meta.Source] = id
		}
	}
	sourced(m, func(kind, id string, meta *vpc.Meta, _ func()) { note(id, meta, kind) })
	return keys
}

// adopter sets the Source of the objects that are in a file.
type adopter struct {
	*converter
	m *vpc.Model
}

func (a adopter) all() {
	sourced(a.m, func(kind, id string, meta *vpc.Meta, put func()) {
		if meta.Region != "" && meta.Region != a.m.Region {
			return // the file is of the home Region; names of key pairs are the same in others
		}
		source := ""
		if name, ok := a.names.by[id]; ok && a.names.taken[kind][name] && meta.Deleted.IsZero() {
			source = kind + "." + name
		}
		if owner := a.ownerOf(kind, id); owner != "" {
			source = owner
		}
		if source != "" && source != meta.Source && meta.Source != "default_vpc" {
			meta.Source = source
			put()
		}
	})
}

// ownerOf is the Source of what an object came with: a VPC's own group, ACL and table, an instance's own interface.
func (a adopter) ownerOf(kind, id string) string {
	of := vpc.VpcID("")
	switch kind {
	case "security_groups":
		if g := a.m.SecurityGroups.Get(vpc.SecurityGroupID(id)); g.GroupName == topology.DefaultName {
			of = g.VpcID
		}
	case "network_acls":
		if acl := a.m.NetworkAcls.Get(vpc.NetworkAclID(id)); acl.IsDefault {
			of = acl.VpcID
		}
	case "route_tables":
		t := a.m.RouteTables.Get(vpc.RouteTableID(id))
		if own := a.ownTable(string(t.VpcID)); own != nil && own.RouteTableId == id {
			of = t.VpcID
		}
	case "network_interfaces":
		n := a.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(id))
		if n.Attachment != nil && n.Attachment.DeviceIndex == 0 {
			if name, ok := a.names.of(string(n.Attachment.InstanceID)); ok {
				return "instances." + name
			}
		}
	}
	if name, ok := a.names.of(string(of)); ok && a.names.taken["vpcs"][name] {
		return "vpcs." + name
	}
	return ""
}

// sourced visits copies of all objects that a file can have; put stores the copy.
func sourced(m *vpc.Model, visit func(kind, id string, meta *vpc.Meta, put func())) {
	sourcedIn("vpcs", &m.Vpcs, visit, func(o *vpc.Vpc) *vpc.Meta { return &o.Meta })
	sourcedIn("subnets", &m.Subnets, visit, func(o *vpc.Subnet) *vpc.Meta { return &o.Meta })
	sourcedIn("internet_gateways", &m.InternetGateways, visit, func(o *vpc.InternetGateway) *vpc.Meta { return &o.Meta })
	sourcedIn("elastic_ips", &m.Addresses, visit, func(o *vpc.Address) *vpc.Meta { return &o.Meta })
	sourcedIn("nat_gateways", &m.NatGateways, visit, func(o *vpc.NatGateway) *vpc.Meta { return &o.Meta })
	sourcedIn("route_tables", &m.RouteTables, visit, func(o *vpc.RouteTable) *vpc.Meta { return &o.Meta })
	sourcedIn("security_groups", &m.SecurityGroups, visit, func(o *vpc.SecurityGroup) *vpc.Meta { return &o.Meta })
	sourcedIn("network_acls", &m.NetworkAcls, visit, func(o *vpc.NetworkAcl) *vpc.Meta { return &o.Meta })
	sourcedIn("dhcp_options", &m.DhcpOptions, visit, func(o *vpc.DhcpOptions) *vpc.Meta { return &o.Meta })
	sourcedIn("network_interfaces", &m.NetworkInterfaces, visit, func(o *vpc.NetworkInterface) *vpc.Meta { return &o.Meta })
	sourcedIn("instances", &m.Instances, visit, func(o *vpc.Instance) *vpc.Meta { return &o.Meta })
	sourcedIn("flow_logs", &m.FlowLogs, visit, func(o *vpc.FlowLog) *vpc.Meta { return &o.Meta })
	for id, o := range m.KeyPairs.All() {
		k := *o
		visit("key_pairs", "key/"+k.KeyName, &k.Meta, func() { m.KeyPairs.Put(id, &k) })
	}
	for id, o := range m.InternetHosts.All() {
		h := *o
		visit("internet_hosts", string(id), &h.Meta, func() { m.InternetHosts.Put(id, &h) })
	}
}

func sourcedIn[K ~string, V any](kind string, t *vpc.Table[K, V], visit func(kind, id string, meta *vpc.Meta, put func()), metaOf func(*V) *vpc.Meta) {
	for id, o := range t.All() {
		v := *o
		visit(kind, string(id), metaOf(&v), func() { t.Put(id, &v) })
	}
}
