package porttest

import (
	"hash/fnv"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/impair"
)

// Conditions of the links at one place, outward and inward.
type Conditions struct{ Out, In impair.Conditions }

// links makes the links of a place; a perfect one is none.
func (c Conditions) links(name string) (out, in *dataplane.Link) {
	return link(name+" out", c.Out), link(name+" in", c.In)
}

func link(name string, c impair.Conditions) *dataplane.Link {
	if c.IsZero() {
		return nil
	}
	h := fnv.New64()
	h.Write([]byte(name))
	return &dataplane.Link{Ref: dataplane.Ref{ID: "imp-" + name, Name: name}, Key: name, Conditions: c, Seed: h.Sum64()}
}

// links compiles what the lab says about links between places.
func (c *compiler) links() {
	for pair, conditions := range c.lab.ZoneLinks {
		if c.out.ZoneLinks == nil {
			c.out.ZoneLinks = map[[2]string]*dataplane.Link{}
		}
		c.out.ZoneLinks[pair] = link(pair[0]+" to "+pair[1], conditions)
	}
	c.out.Internet.Out, c.out.Internet.In = c.lab.Internet.links("internet")
	c.out.Cuts = c.lab.Cuts
}

// failure is why nothing goes in or out of the ENI: the largest thing that has failed.
func (e *ENI) failure() *dataplane.Failure {
	s := e.Subnet
	switch {
	case s.VPC.Lab.FailedZones[s.Zone]:
		return &dataplane.Failure{Ref: dataplane.Ref{ID: s.Zone}, Reason: dataplane.ZoneFailed}
	case s.Failed:
		return &dataplane.Failure{Ref: dataplane.Ref{ID: "subnet-" + s.Name, Name: s.Name}, Reason: dataplane.SubnetFailed}
	case e.Failed:
		return &dataplane.Failure{Ref: dataplane.Ref{ID: "i-" + e.Name, Name: e.Name}, Reason: dataplane.InstanceFailed}
	}
	return nil
}
