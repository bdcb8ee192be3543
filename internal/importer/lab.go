package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Lab makes a topology file of one Region of a lab, however its objects were made: a lab that is
// brought up from it is the same but for IDs. "" is the home Region. What a file cannot say
// is in Notes.
//
// It goes the way of a real account, by what the describe actions answer, and adds what only a
// lab has.
func Lab(m *vpc.Model, region string) (*Result, error) {
	_, r, err := convertLab(m, region)
	return r, err
}

func convertLab(m *vpc.Model, region string) (*converter, *Result, error) {
	if region == "" {
		region = m.Region
	}
	if !m.RegionOpen(region) { // it is as it would be found
		tx := vpc.Begin(m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
		if err := tx.OpenRegion(region); err != nil {
			return nil, nil, err
		}
		m = &tx.Model
	}
	sources, err := described(m, region)
	if err != nil {
		return nil, nil, err
	}
	acc, err := read(sources)
	if err != nil {
		return nil, nil, err
	}
	view := m.In(region)
	c := &converter{account: acc, opt: Options{Name: m.Lab, Region: region}, file: &topology.File{}, comments: map[string]string{}, names: newNames(), lab: m}
	for source, id := range keysOf(&view) {
		c.names.keep(source, id)
	}
	if len(c.Vpcs) > 0 {
		if err := c.place(); err != nil {
			return nil, nil, err
		}
	} else {
		c.region = region
	}
	c.convert()
	clear(c.comments) // the IDs are the lab's own, and gone with it
	l := labAdditions{c, &view}
	l.add()
	text, err := c.write()
	if err != nil {
		return nil, nil, err
	}
	r := &Result{Text: text, Notes: c.notes.sorted(), Counts: c.counts(), HasUserData: c.hasUserData()}
	_, r.Invalid = topology.Parse(fileName(m.Lab)+".yaml", text)
	return c, r, nil
}

// described are the answers of the describe actions, as the AWS CLI would have printed them.
func described(m *vpc.Model, region string) (sources []Source, err error) {
	call := vpc.Call{Now: time.Now(), NewID: vpc.RandomID, Region: region}
	run := func(action string, in any) {
		if err != nil {
			return
		}
		a, _ := vpc.LookupAction(action)
		if in == nil {
			in = reflect.New(a.Input).Interface()
		}
		out, e := vpc.Begin(m, call).Run(action, in)
		if e != nil {
			err = fmt.Errorf("export: %s: %w", action, e)
			return
		}
		b, e := json.Marshal(out)
		if e != nil {
			err = fmt.Errorf("export: %s: %w", action, e)
			return
		}
		sources = append(sources, Source{region + "/" + action, b})
	}
	for _, action := range []string{"DescribeVpcs", "DescribeSubnets", "DescribeRouteTables", "DescribeInternetGateways", "DescribeNatGateways", "DescribeAddresses",
		"DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeNetworkAcls", "DescribeNetworkInterfaces", "DescribeInstances", "DescribeDhcpOptions", "DescribeFlowLogs"} {
		run(action, nil)
	}
	run("DescribeKeyPairs", &vpc.DescribeKeyPairsInput{IncludePublicKey: true})
	view := m.In(region)
	for id := range view.Vpcs.All() {
		run("DescribeVpcAttribute", &vpc.DescribeVpcAttributeInput{VpcId: id, Attribute: "enableDnsHostnames"})
		run("DescribeVpcAttribute", &vpc.DescribeVpcAttributeInput{VpcId: id, Attribute: "enableDnsSupport"})
	}
	for id := range view.Subnets.All() {
		run("GetSubnetCidrReservations", &vpc.GetSubnetCidrReservationsInput{SubnetId: id})
	}
	for id, i := range view.Instances.All() {
		if i.State == vpc.StateTerminated {
			continue
		}
		for _, a := range []string{"userData", "disableApiTermination", "disableApiStop", "instanceInitiatedShutdownBehavior"} {
			run("DescribeInstanceAttribute", &vpc.DescribeInstanceAttributeInput{InstanceId: id, Attribute: a})
		}
	}
	return sources, err
}

// labAdditions are what only a lab has.
type labAdditions struct {
	*converter
	m *vpc.Model // of the Region
}

func (l labAdditions) add() {
	l.settings()
	l.machines()
	l.internetHosts()
	l.impairments()
	l.checks()
	l.unsaid()
	l.sort()
}

// sort orders the objects of each kind by name, and the subnets of tables and ACLs: the order of their IDs means nothing
// to a reader.
func (l labAdditions) sort() {
	for _, g := range l.file.SecurityGroups.List {
		sortRules(g.Ingress)
		sortRules(g.Egress)
	}
	for _, v := range l.file.Vpcs.List {
		sortRules(v.DefaultSecurityGroup.V.Ingress)
		sortRules(v.DefaultSecurityGroup.V.Egress)
	}
	byName := func(a, b topology.Value[string]) int { return strings.Compare(a.V, b.V) }
	for _, o := range l.file.RouteTables.List {
		slices.SortFunc(o.Subnets.V, byName)
	}
	for _, o := range l.file.NetworkAcls.List {
		slices.SortFunc(o.Subnets.V, byName)
	}
	for _, f := range fieldsOf(reflect.ValueOf(l.file).Elem()) {
		if f.value.Kind() != reflect.Struct {
			continue
		}
		if objects := f.value.FieldByName("List"); objects.IsValid() {
			name := func(i int) string { return objects.Index(i).Elem().FieldByName("Name").String() }
			sort.SliceStable(objects.Interface(), func(i, j int) bool { return name(i) < name(j) })
		}
	}
}

// sortRules orders the rules of a group, which have no order of their own, by what they allow.
func sortRules(l topology.List[topology.GroupRule]) {
	for _, r := range l.V {
		slices.SortFunc(r.V.CidrBlocks.V, func(a, b topology.Value[netip.Prefix]) int { return a.V.Compare(b.V) })
		slices.SortFunc(r.V.SecurityGroups.V, func(a, b topology.Value[string]) int { return strings.Compare(a.V, b.V) })
	}
	slices.SortFunc(l.V, func(x, y topology.Value[topology.GroupRule]) int {
		a, b := x.V, y.V
		return cmp.Or(strings.Compare(string(a.Protocol.V), string(b.Protocol.V)), a.Port.V.From+a.Ports.V.From-b.Port.V.From-b.Ports.V.From, a.Port.V.To+a.Ports.V.To-b.Port.V.To-b.Ports.V.To,
			a.IcmpType.V-b.IcmpType.V, a.IcmpCode.V-b.IcmpCode.V, strings.Compare(a.Description.V, b.Description.V), strings.Compare(fmt.Sprint(a.Tags.V), fmt.Sprint(b.Tags.V)))
	})
}

// fileName is the name of a lab in its file, which has narrower rules than --lab.
func fileName(lab string) string {
	if ValidName(lab) {
		return lab
	}
	name := strings.TrimLeft(strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return '-'
		}
		return r
	}, strings.ToLower(lab)), "-0123456789")
	return cmp.Or(name[:min(len(name), 24)], DefaultName)
}

// settings are the lab's own.
func (l labAdditions) settings() {
	f, m := l.file, l.m
	f.Version, f.Name, f.Region, f.Account = set(1), set(fileName(m.Lab)), set(l.region), set(m.Account)
	if f.Name.V != m.Lab {
		l.note("lab", "", "the lab's name is none that a file can have: `vpcemu up` with the file changes it with --lab %s only", m.Lab)
	}
	if m.DefaultVpc() == nil {
		f.DefaultVpc = set(false)
	}
	net := f.Internet.V
	if !slices.Equal(m.PublicPools, vpc.DefaultPools) {
		net.PublicPools = list(m.PublicPools...)
	}
	if m.Outside.Uplink != "" {
		net.Uplink = set(m.Outside.Uplink)
	}
	if len(m.Outside.UplinkAllow) > 0 {
		net.UplinkAllow = list(m.Outside.UplinkAllow...)
	}
	f.Internet = topology.Value[topology.Internet]{V: net, Set: !reflect.DeepEqual(net, topology.Internet{})}
	if m.Outside.Join {
		f.Join = set(true)
	}
	if m.Outside.Hosts {
		f.JoinHosts = set(true)
	}
	if len(m.Quotas) > 0 {
		f.Quotas = set(m.Quotas)
	} else {
		f.Quotas = topology.Value[map[string]int]{}
	}
	if len(m.Images) > 0 {
		images := map[string]string{}
		for id, i := range m.Images {
			images[id] = firstOf(i.Rootfs, vpc.RootfsHost)
		}
		f.Images = set(images)
	}
}

// machines adds to instances and interfaces what AWS's do not have.
func (l labAdditions) machines() {
	for _, o := range l.file.Instances.List {
		i := l.instance(o.Name)
		if i == nil {
			continue
		}
		if i.ImageID == vpc.ImageID {
			o.Ami = topology.Value[string]{}
		}
		if i.Rootfs != "" {
			o.Rootfs = set(i.Rootfs)
		}
		if len(i.Devices) > 0 {
			o.Devices = list(i.Devices...)
		}
		l.limits(i.Limits, &o.Cpus, &o.Memory, &o.Pids)
		if i.Limits.OfType {
			o.InstanceTypeLimits = set(true)
		}
		if nics := l.m.InstanceInterfaces(i.ID); len(nics) > 0 {
			if nics[0].LinkType == "tap" {
				o.LinkType = set("tap")
			}
			l.publicAddress(o, i, nics[0])
		}
	}
	for _, o := range l.file.NetworkInterfaces.List {
		for id, n := range l.m.NetworkInterfaces.All() {
			if l.names.by[string(id)] == o.Name && n.LinkType == "tap" {
				o.LinkType = set("tap")
			}
		}
	}
}

// publicAddress is whether an instance wishes for an automatic public address, which AWS does not tell of one that is stopped
// or has an Elastic IP.
func (l labAdditions) publicAddress(o *topology.Instance, i *vpc.Instance, n *vpc.NetworkInterface) {
	o.AssociatePublicIpAddress = topology.Value[bool]{}
	if s := l.m.Subnets.Get(n.SubnetID); s != nil && s.MapPublicIpOnLaunch != n.MapPublic {
		o.AssociatePublicIpAddress = set(n.MapPublic)
	}
	if n.MapPublic && !n.PublicIp.IsValid() && n.PrivateIps[0].AllocationID == "" && i.State == vpc.StateRunning {
		l.note("instance", o.Name, "lost its automatic public address to an Elastic IP that it has no more, until its next start; an instance of the file has one at once")
	}
}

func (l labAdditions) instance(name string) *vpc.Instance {
	for id, i := range l.m.Instances.All() {
		if i.State != vpc.StateTerminated && l.names.by[string(id)] == name {
			return i
		}
	}
	return nil
}

func (l labAdditions) limits(limits vpc.Limits, cpus *topology.Value[topology.Cpus], memory *topology.Value[topology.Memory], pids *topology.Value[int]) {
	if limits.Cpu > 0 {
		*cpus = set(topology.Cpus(limits.Cpu))
	}
	if limits.Memory > 0 {
		*memory = set(topology.Memory(limits.Memory))
	}
	if limits.Pids > 0 {
		*pids = set(limits.Pids)
	}
}

// internetHosts are those outside AWS.
func (l labAdditions) internetHosts() {
	for _, h := range l.m.InternetHosts.All() {
		if !h.Deleted.IsZero() || h.State == vpc.StateTerminated || h.State == vpc.StateShuttingDown {
			continue
		}
		o := &topology.InternetHost{}
		o.Kind, o.Name = "internet_hosts", l.names.give("internet_hosts", string(h.ID), h.HostName)
		o.Address = set(h.PublicIp)
		if len(h.DnsNames) > 0 {
			o.DnsNames = list(h.DnsNames...)
		}
		if len(h.KeyNames) > 0 {
			o.KeyNames = list(h.KeyNames...)
		}
		if h.Rootfs != "" {
			o.Rootfs = set(h.Rootfs)
		}
		l.limits(h.Limits, &o.Cpus, &o.Memory, &o.Pids)
		if h.UserData != "" {
			o.UserData = set(h.UserData)
		}
		if h.LinkType == "tap" {
			o.LinkType = set("tap")
		}
		if h.State == vpc.StateStopped || h.State == vpc.StateStopping {
			o.State = set("stopped")
		}
		tags := map[string]string{}
		for k, v := range h.Tags {
			if k != "Name" {
				tags[k] = v
			}
		}
		if len(tags) > 0 {
			o.Tags = set(tags)
		}
		l.file.InternetHosts.List = append(l.file.InternetHosts.List, o)
	}
}

// impairments go to what they impair.
func (l labAdditions) impairments() {
	for _, i := range l.m.Impairments.All() {
		if i.Place.Type == vpc.PlaceZone {
			l.zones(i)
			continue
		}
		v := topology.Value[topology.Impair]{Set: true}
		if i.Egress == i.Ingress {
			v.V.Conditions = conditions(i.Egress)
		} else {
			v.V.Egress, v.V.Ingress = set(conditions(i.Egress)), set(conditions(i.Ingress))
		}
		if to := l.impaired(i.Place); to != nil {
			*to = v
		} else {
			l.note("impairment", l.m.PlaceName(i.Place), "a file has no place for it")
		}
	}
}

// impaired is where the conditions of a place stand.
func (l labAdditions) impaired(p vpc.Place) *topology.Value[topology.Impair] {
	switch p.Type {
	case vpc.PlaceInternet:
		l.file.Internet.Set = true
		return &l.file.Internet.V.Impair
	case vpc.PlaceSubnet:
		for _, o := range l.file.Subnets.List {
			if o.Name == l.names.by[p.ID] {
				return &o.Impair
			}
		}
	case vpc.PlaceInstance:
		for _, o := range l.file.Instances.List {
			if o.Name == l.names.by[p.ID] {
				return &o.Impair
			}
		}
	case vpc.PlaceInternetHost:
		for _, o := range l.file.InternetHosts.List {
			if h := l.m.InternetHosts.Get(vpc.InternetHostID(p.ID)); h != nil && h.HostName == o.Name {
				return &o.Impair
			}
		}
	}
	return nil
}

// zones are the conditions between two zones: each way by itself where the ways differ.
func (l labAdditions) zones(i *vpc.Impairment) {
	a, b := i.Place.ID, i.To.ID
	add := func(z topology.ZoneImpair) {
		if reflect.DeepEqual(z.Conditions, topology.Conditions{}) {
			return
		}
		l.file.Impair.Set = true
		l.file.Impair.V = append(l.file.Impair.V, set(z))
	}
	if i.Egress == i.Ingress || a == b {
		add(topology.ZoneImpair{Zones: list(a, b), Conditions: conditions(i.Egress)})
		return
	}
	add(topology.ZoneImpair{From: set(a), To: set(b), Conditions: conditions(i.Egress)})
	add(topology.ZoneImpair{From: set(b), To: set(a), Conditions: conditions(i.Ingress)})
}

// conditions are those of a link as a file has them: by the texts that Conditions.String makes of each.
func conditions(c impair.Conditions) (o topology.Conditions) {
	for part := range strings.SplitSeq(c.String(), ", ") {
		key, value, ok := strings.Cut(strings.Replace(part, "loss burst", "loss_burst", 1), " ")
		if !ok {
			continue
		}
		switch key {
		case "delay":
			o.Delay = set(value)
		case "jitter":
			jitter, shape, _ := strings.Cut(value, " ")
			if o.Jitter = set(jitter); shape != "" {
				o.Distribution = set(shape)
			}
		case "loss":
			o.Loss = set(value)
		case "loss_burst":
			o.LossBurst = set(value)
		case "duplicate":
			o.Duplicate = set(value)
		case "reorder":
			o.Reorder = set(value)
		case "gap":
			o.Gap = set(c.Gap)
		case "rate":
			o.Rate = set(value)
		case "queue":
			o.Queue = set(value)
		}
	}
	return o
}

// checks are the lab's expectations, as sentences.
func (l labAdditions) checks() {
	for _, e := range l.m.Expectations {
		l.checkLines = append(l.checkLines, e.Sentence())
		if e.Within > 0 || e.Name != "" {
			l.note("check", e.Title(), "its name and its time limit are not in the file")
		}
	}
}

// unsaid notes what a topology file has no key for.
func (l labAdditions) unsaid() {
	for id, i := range l.m.Instances.All() {
		if o := i.Options; i.State != vpc.StateTerminated && (o.Monitoring || o.EbsOptimized || o.CpuCredits != "" || o.Hardware != (vpc.InstanceHardware{})) {
			l.note("instance", l.names.by[string(id)], "a topology file has no keys for monitoring, credits and the like, which mean nothing in a lab")
		}
	}
	for _, n := range l.m.NetworkInterfaces.All() {
		if n.Deleted.IsZero() && !n.RequesterManaged {
			l.unsaidOf(n)
		}
	}
	for _, v := range l.m.Volumes.All() {
		if v.Device != vpc.RootDevice || !v.AsImage() || len(v.Tags) > 0 {
			l.note("volume", string(v.ID), "a lab has no disks of its own to give: what volumes are like is only read back, and not in the file")
		}
	}
	for _, v := range l.m.Failures.All() {
		l.note("failure", l.m.PlaceName(v.Place), "what has failed for a while is not part of a topology")
	}
	if l.m.MetadataDefaults != (vpc.MetadataDefaults{}) {
		l.note("account", "", "the account's metadata defaults are not in the file: instances have what they were launched with")
	}
	for _, k := range l.file.KeyPairs.List {
		l.note("key pair", k.Name, "the file has its public half; the private half is where it was, for a pair that vpcemu made in the lab's folder keys/")
	}
	for _, region := range l.lab.OpenRegions() {
		if region != l.region {
			l.note("Region", region, "it is not in this file: --region %s makes one of it", region)
		}
	}
}

// unsaidOf notes what a file has no key for of an interface.
func (l labAdditions) unsaidOf(n *vpc.NetworkInterface) {
	name := firstOf(l.names.by[string(n.ID)], string(n.ID))
	first := n.Attachment != nil && n.Attachment.DeviceIndex == 0
	if first {
		name = "of instance " + l.names.by[string(n.Attachment.InstanceID)]
	}
	if first && (n.Description != "" || len(n.Tags) > 0) && !strings.HasPrefix(n.Source, "instances.") {
		l.note("network interface", name, "its description and tags: a file has none for an instance's first interface")
	}
	if n.TcpEstablishedTimeout+n.UdpTimeout+n.UdpStreamTimeout != 0 {
		l.note("network interface", name, "its timeouts of connection tracking: a file has no key for them")
	}
	if n.Attachment != nil && n.Attachment.DeleteOnTermination != first {
		l.note("network interface", name, "whether it goes when its instance is terminated: in the file an instance's first interface does, and others stay")
	}
}

// labPools are the public pools of a lab that is exported.
func (c *converter) labPools() []netip.Prefix {
	if c.lab == nil {
		return nil
	}
	return c.lab.PublicPools
}
