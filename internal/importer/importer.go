package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Options of Import.
type Options struct {
	// Name is the lab's name, of the form that a topology file takes; "" is "imported".
	Name string
	// Path is where the file will be, as the lines of Result.Invalid show it; "" is its name.
	Path string
	// Vpcs are the VPCs to bring over, by ID, Name tag or Terraform address; none means all of the Region.
	Vpcs []string
	// Region is the one to bring over, where the sources hold several.
	Region string
	// KeepPublicAddresses keeps the account's Elastic IPs, as public pools of the lab. Otherwise they are mapped to
	// documentation ranges (RFC 5737): a lab with an uplink would hide the real addresses from its instances.
	KeepPublicAddresses bool
	// WithoutUserData leaves user data out: on another root file system than the image's it often fails.
	WithoutUserData bool
}

// ErrChoose means that the sources hold more than one file can, or not what was asked for: the error says which
// option to give. Nothing is wrong with the sources.
var ErrChoose = errors.New("say which")

// Result is what Import made of the sources.
type Result struct {
	// Text is the topology file: notes and mapped addresses as comments at its top, every object with its ID beside it.
	Text []byte
	// Notes are what was not brought over, and what is not as it is in the account.
	Notes []Note
	// Counts are the objects of the file, such as "3 subnets".
	Counts []string
	// HasUserData tells that the file holds user data, which may hold secrets.
	HasUserData bool
	// Invalid is what a lab would refuse in the file, nil for nothing. It comes with an account that the file's
	// format cannot hold in a way that is not known here; the file is complete apart from that.
	Invalid error
}

// labName is what a topology file takes as `name`.
var labName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,23}$`)

// ValidName tells whether a lab can be called so.
func ValidName(name string) bool { return labName.MatchString(name) }

// DefaultName is the name of an imported lab that was given none.
const DefaultName = "imported"

// Import makes a topology file of the sources. It fails where a source cannot be read, where nothing in them is a
// VPC, and with ErrChoose; all else that it cannot bring over is a Note.
func Import(sources []Source, opt Options) (*Result, error) {
	acc, err := read(sources)
	if err != nil {
		return nil, err
	}
	if opt.Name == "" {
		opt.Name = DefaultName
	}
	c := &converter{account: acc, opt: opt, file: &topology.File{}, comments: map[string]string{}, names: newNames()}
	if err := c.place(); err != nil {
		return nil, err
	}
	c.convert()
	text, err := c.write()
	if err != nil {
		return nil, err
	}
	r := &Result{Text: text, Notes: c.notes.sorted(), Counts: c.counts(), HasUserData: c.hasUserData()}
	_, r.Invalid = topology.Parse(firstOf(opt.Path, opt.Name+".yaml"), text)
	return r, nil
}

// converter makes the file. Maps are by the account's IDs.
type converter struct {
	*account
	opt      Options
	file     *topology.File
	names    *names
	comments map[string]string // "subnets.public" -> what stands beside it

	region       string
	zones        []string
	zoneOf       map[string]string // zones that the lab lacks -> those taken instead
	vpcs         []*rawVpc         // those brought over, but for one that is the lab's own default VPC
	labDefault   *rawVpc           // the one that is
	defaultGroup map[string]string // VPC ID -> group ID
	public       map[string]netip.Addr
	primaries    map[string]*rawInterface // primary interfaces of instances, by instance ID
	reserved     []reservedTag
	lab          *vpc.Model // that is exported; nil for a real account
	checkLines   []string   // the lab's checks
}

// convert makes the objects, those that others name first.
func (c *converter) convert() {
	c.settings()
	c.complete()
	c.nameAll()
	c.mapAddresses()
	c.convertVpcs()
	c.convertSubnets()
	c.convertInternetGateways()
	c.convertDhcpOptions()
	c.convertKeyPairs()
	c.convertSecurityGroups()
	c.convertNetworkAcls()
	c.convertInstances()
	c.convertInterfaces()
	c.convertNatGateways()
	c.convertAddresses()
	c.convertRouteTables()
	c.convertFlowLogs()
	c.quotas()
	c.droppedTags()
}

func set[T any](v T) topology.Value[T] { return topology.Value[T]{V: v, Set: true} }

// list is a sequence; an empty one is written as [].
func list[T any](items ...T) topology.List[T] {
	l := topology.List[T]{Set: true, V: []topology.Value[T]{}}
	for _, i := range items {
		l.V = append(l.V, set(i))
	}
	return l
}

// ipv4 parses an IPv4 range; anything else is not one.
func ipv4(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

func address(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	return a, err == nil && a.Is4()
}

func (c *converter) note(kind, object, format string, a ...any) {
	c.notes.add(kind, object, format, a...)
}

// counts are the objects of the file in its order.
func (c *converter) counts() (list []string) {
	f := c.file
	for _, k := range []struct {
		n    int
		what string
	}{
		{len(f.Vpcs.List), "VPC"}, {len(f.Subnets.List), "subnet"}, {len(f.InternetGateways.List), "Internet gateway"},
		{len(f.ElasticIps.List), "Elastic IP"}, {len(f.NatGateways.List), "NAT gateway"}, {len(f.RouteTables.List), "route table"},
		{len(f.SecurityGroups.List), "security group"}, {len(f.NetworkAcls.List), "network ACL"}, {len(f.DhcpOptions.List), "DHCP option set"},
		{len(f.KeyPairs.List), "key pair"}, {len(f.NetworkInterfaces.List), "network interface"}, {len(f.Instances.List), "instance"},
		{len(f.FlowLogs.List), "flow log"},
	} {
		switch k.n {
		case 0:
		case 1:
			list = append(list, "1 "+k.what)
		default:
			list = append(list, fmt.Sprintf("%d %ss", k.n, k.what))
		}
	}
	return list
}

func (c *converter) hasUserData() bool {
	for _, i := range c.file.Instances.List {
		if i.UserData.Set || i.UserDataBase64.Set {
			return true
		}
	}
	return false
}
