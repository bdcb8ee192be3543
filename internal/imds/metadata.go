package imds

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// versions are those that AWS lists, before latest. What a category came with, on AWS,
// is not in those before.
var versions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01",
	"2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17",
	"2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest",
}

// content is what the instance finds at a path; there is nothing if it has no type.
func (s *Server) content(c *caller, path []string) (content []byte, mime string, err error) {
	if len(path) == 0 {
		return []byte(strings.Join(versions, "\n")), "text/plain", nil
	}
	version := path[0]
	if !slices.Contains(versions, version) {
		return nil, "", nil
	}
	if version == "latest" {
		version = versions[len(versions)-2]
	}
	tree := node{nodes: s.roots(c)}
	n := tree.find(path[1:], version)
	if n == nil {
		return nil, "", nil
	}
	return n.content(version)
}

// roots are what a version's list begins with, where directories have no slash.
func (s *Server) roots(c *caller) []node {
	roots := []node{
		dir("dynamic", "2009-04-04",
			dir("fws", "", file("instance-monitoring", "", "disabled")),
			dir("instance-identity", "", s.identity(c)...)),
		dir("meta-data", "", metadata(c)...),
	}
	if c.UserData != "" {
		data := file("user-data", "", c.UserData)
		data.mime = "application/octet-stream"
		roots = append(roots, data)
	}
	for i := range roots {
		roots[i].listed = roots[i].name
	}
	return roots
}

// metadata are the categories (IM-05), in the order of AWS's list. An ordinary instance
// without a role has no iam/, spot/, autoscaling/, kernel-id or product-codes.
func metadata(c *caller) []node {
	hostname := c.hostname()
	launched := c.LaunchTime.UTC().Format("2006-01-02T15:04:05Z")
	var primary []node // what the primary interface tells
	var groups []string
	if len(c.nics) > 0 {
		eth0 := c.nics[0]
		primary = []node{file("local-ipv4", "", eth0.Primary().String()), file("mac", "2011-01-01", eth0.MacAddress)}
		groups = c.groups(eth0)
	}
	public := c.publics(c.nics[:min(1, len(c.nics))]...)
	return join(
		[]node{
			file("ami-id", "", c.ImageID),
			file("ami-launch-index", "", strconv.Itoa(c.AmiLaunchIndex)),
			file("ami-manifest-path", "", "(unknown)"),
			dir("block-device-mapping", "2007-12-15", file("ami", "", vpc.RootDevice), file("root", "", vpc.RootDevice)),
			dir("events", "2018-08-17", dir("maintenance", "", file("history", "", "[]"), file("scheduled", "", "[]"))),
			dir("hibernation", "2018-09-24", file("configured", "", "false")),
			file("hostname", "", hostname),
			dir("identity-credentials", "2018-08-17", dir("ec2", "", file("info", "",
				fmt.Sprintf("{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : %q,\n  \"AccountId\" : %q\n}", launched, c.Account)))),
			file("instance-action", "2008-09-01", "none"),
			file("instance-id", "", string(c.ID)),
			file("instance-life-cycle", "2019-10-01", "on-demand"),
			file("instance-type", "2007-08-29", c.InstanceType),
			file("local-hostname", "2007-01-19", hostname),
		},
		primary,
		[]node{
			dir("metrics", "2011-05-01", file("vhostmd", "", `<?xml version="1.0" encoding="UTF-8"?>`)),
			dir("network", "2011-01-01", dir("interfaces", "", dir("macs", "", c.interfaces()...))),
			dir("placement", "2008-02-01", c.placement()...),
			file("profile", "2007-12-15", "default-hvm"),
		},
		some("public-hostname", "2007-01-19", public.name()),
		some("public-ipv4", "2007-01-19", public.first()),
		c.publicKeys(),
		[]node{file("reservation-id", "", string(c.ReservationID))},
		some("security-groups", "", groups...),
		[]node{
			dir("services", "2014-02-25", file("domain", "", vpc.DnsSuffix(c.Region)), file("partition", "2015-10-20", vpc.Partition(c.Region))),
			file("system", "2022-09-24", c.system()),
		},
		c.tags(),
	)
}

// hostname is the private name that the instance goes by: the domain is that of its DHCP
// options where they have one of their own.
func (c *caller) hostname() string {
	v := c.model.Vpcs.Get(c.VpcID)
	if v == nil {
		return c.PrivateDnsName
	}
	if o := c.model.DhcpOptions.Get(v.DhcpOptionsID); o != nil && o.DomainName != "" {
		label, _, _ := strings.Cut(c.PrivateDnsName, ".")
		return label + "." + o.DomainName
	}
	return c.PrivateDnsName
}

func (c *caller) placement() []node {
	s := c.model.Subnets.Get(c.SubnetID)
	if s == nil {
		return nil
	}
	return []node{
		file("availability-zone", "", s.AvailabilityZone),
		file("availability-zone-id", "2019-10-01", c.model.ZoneID(s.AvailabilityZone)),
		file("region", "2020-10-27", c.Region),
	}
}

// publicKeys lists the key pair of the launch, whose directory has two names.
func (c *caller) publicKeys() []node {
	if c.PublicKey == "" {
		return nil
	}
	key := strings.TrimSpace(c.PublicKey)
	if len(strings.Fields(key)) == 2 { // type and key: AWS's have the pair's name as comment
		key += " " + c.KeyName
	}
	first := dir("0", "", file("openssh-key", "", key))
	first.listed = "0=" + c.KeyName
	return []node{dir("public-keys", "", first)}
}

func (c *caller) system() string {
	if vpc.IsNitro(c.InstanceType) {
		return "nitro"
	}
	return "xen"
}

// tags are shown where the instance's options say so.
func (c *caller) tags() []node {
	if c.Metadata().InstanceMetadataTags != "enabled" {
		return nil
	}
	var tags []node
	for _, k := range slices.Sorted(maps.Keys(c.Tags)) {
		tags = append(tags, file(k, "", c.Tags[k]))
	}
	return []node{dir("tags", "2021-03-23", dir("instance", "", tags...))}
}
