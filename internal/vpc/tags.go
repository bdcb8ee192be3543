package vpc

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// CreateTagsInput and the other inputs and outputs below have the members of the EC2 API.
type CreateTagsInput struct {
	Resources []ResourceID
	Tags      []Tag
	DryRun    bool
}

type CreateTagsOutput struct{}

// CreateTags tags objects of any type, all of them or none. An object's name is
// its tag Name.
func (tx *Tx) CreateTags(in *CreateTagsInput) (*CreateTagsOutput, error) {
	if len(in.Tags) == 0 {
		return nil, errMissing("tags")
	}
	err := tx.retag(in.Resources, func(tags map[string]string) (map[string]string, error) { return addTags(tags, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &CreateTagsOutput{}, nil
}

// DeleteTag names a tag to delete: whatever its value, or only if it has the
// value given.
type DeleteTag struct {
	Key   string
	Value *string
}

type DeleteTagsInput struct {
	Resources []ResourceID
	Tags      []DeleteTag
	DryRun    bool
}

type DeleteTagsOutput struct{}

// DeleteTags takes tags off objects; all of them if none is named. A tag that is
// not there is no error.
func (tx *Tx) DeleteTags(in *DeleteTagsInput) (*DeleteTagsOutput, error) {
	err := tx.retag(in.Resources, func(tags map[string]string) (map[string]string, error) {
		if len(in.Tags) == 0 {
			return nil, nil
		}
		left := maps.Clone(tags)
		for _, t := range in.Tags {
			if v, ok := left[t.Key]; ok && (t.Value == nil || *t.Value == v) {
				delete(left, t.Key)
			}
		}
		return left, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteTagsOutput{}, nil
}

// retag changes the tags of objects, found by their IDs' prefixes.
func (tx *Tx) retag(ids []ResourceID, change func(map[string]string) (map[string]string, error)) error {
	if len(ids) == 0 {
		return errMissing("resourceIdSet")
	}
	return tx.attempt(func() error {
		for _, id := range ids {
			if err := tx.retagOne(string(id), change); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) retagOne(id string, change func(map[string]string) (map[string]string, error)) error {
	for _, t := range tx.tagged() {
		if k := t.kind; WellFormed(k.prefix, id) {
			current, put := t.find(id)
			if put == nil {
				return k.notFoundError(id)
			}
			tags, err := change(current)
			if err != nil {
				return err
			}
			put(tags)
			if i := tx.Instances.Get(InstanceID(id)); i != nil {
				return i.tagsFitMetadata()
			}
			return nil
		}
	}
	return errorf("InvalidID", "The ID '%s' is not valid", id)
}

// taggedTable is a table of objects that carry tags.
type taggedTable struct {
	kind idKind
	// find returns the tags of the object with the ID and how to change them,
	// nil if there is none.
	find func(id string) (map[string]string, func(map[string]string))
	// all calls yield for every object that is not deleted.
	all func(yield func(id string, m *Meta))
}

// tagged lists the tables whose objects carry tags.
func (tx *Tx) tagged() []taggedTable {
	return []taggedTable{
		taggedIn(&tx.Vpcs), taggedIn(&tx.Subnets), taggedIn(&tx.SubnetCidrReservations), taggedIn(&tx.RouteTables),
		taggedIn(&tx.InternetGateways), taggedIn(&tx.NatGateways), taggedIn(&tx.Addresses), taggedIn(&tx.SecurityGroups),
		tx.taggedRules(), taggedIn(&tx.NetworkAcls), taggedIn(&tx.DhcpOptions), taggedIn(&tx.NetworkInterfaces),
		taggedIn(&tx.Instances), taggedIn(&tx.Volumes), tx.taggedKeyPairs(), taggedIn(&tx.InternetHosts), taggedIn(&tx.FlowLogs),
		taggedIn(&tx.Impairments), taggedIn(&tx.Failures),
	}
}

func taggedIn[K ~string, V any](t *Table[K, V]) taggedTable {
	return taggedTable{
		kind: kindOf[K](),
		find: func(id string) (map[string]string, func(map[string]string)) {
			v := t.Get(K(id))
			if v == nil {
				return nil, nil
			}
			return metaOf(v).Tags, func(tags map[string]string) {
				c := *v
				metaOf(&c).Tags = tags
				t.Put(K(id), &c)
			}
		},
		all: func(yield func(string, *Meta)) {
			for id, v := range t.All() {
				if m := metaOf(v); m.Deleted.IsZero() {
					yield(string(id), m)
				}
			}
		},
	}
}

// taggedKeyPairs: key pairs are kept by name.
func (tx *Tx) taggedKeyPairs() taggedTable {
	return taggedTable{
		kind: kindOf[KeyPairID](),
		find: func(id string) (map[string]string, func(map[string]string)) {
			for key, k := range tx.KeyPairs.All() {
				if string(k.ID) == id {
					return k.Tags, func(tags map[string]string) {
						c := *k
						c.Tags = tags
						tx.KeyPairs.Put(key, &c)
					}
				}
			}
			return nil, nil
		},
		all: func(yield func(string, *Meta)) {
			for _, k := range tx.KeyPairs.All() {
				yield(string(k.ID), &k.Meta)
			}
		},
	}
}

// taggedRules: security group rules are parts of their groups.
func (tx *Tx) taggedRules() taggedTable {
	return taggedTable{
		kind: kindOf[SecurityRuleID](),
		find: func(id string) (map[string]string, func(map[string]string)) {
			for _, r := range tx.allGroupRules() {
				if string(r.ID) == id {
					return r.Tags, func(tags map[string]string) {
						rules := slices.Clone(r.group.rules(r.egress))
						i := slices.IndexFunc(rules, func(o SecurityGroupRule) bool { return o.ID == r.ID })
						rules[i].Tags = tags
						tx.putRules(r.group, r.egress, rules)
					}
				}
			}
			return nil, nil
		},
		all: func(yield func(string, *Meta)) {
			for _, r := range tx.allGroupRules() {
				yield(string(r.ID), r.metadata())
			}
		},
	}
}

type DescribeTagsInput struct {
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeTagsOutput struct {
	Tags      []TagDescription `json:"Tags"`
	NextToken string           `json:"NextToken,omitempty"`
}

type TagDescription struct {
	Key          string `json:"Key"`
	ResourceId   string `json:"ResourceId"`
	ResourceType string `json:"ResourceType"`
	Value        string `json:"Value"`
}

// metadata makes the filter tag:KEY match the tag itself.
func (t *TagDescription) metadata() *Meta { return &Meta{Tags: map[string]string{t.Key: t.Value}} }

var tagFilters = filterSet[TagDescription]{
	"key":           func(_ *Model, t *TagDescription) []string { return one(t.Key) },
	"resource-id":   func(_ *Model, t *TagDescription) []string { return one(t.ResourceId) },
	"resource-type": func(_ *Model, t *TagDescription) []string { return one(t.ResourceType) },
	"value":         func(_ *Model, t *TagDescription) []string { return one(t.Value) },
}

// DescribeTags lists the tags of all objects, by object and key.
func (tx *Tx) DescribeTags(in *DescribeTagsInput) (*DescribeTagsOutput, error) {
	if err := tagFilters.check(in.Filters); err != nil {
		return nil, err
	}
	list := []TagDescription{}
	for _, t := range tx.tagged() {
		t.all(func(id string, m *Meta) {
			for _, tag := range tagList(m.Tags) {
				d := TagDescription{tag.Key, id, t.kind.resource, tag.Value}
				if tagFilters.match(&tx.Model, in.Filters, &d) {
					list = append(list, d)
				}
			}
		})
	}
	key := func(d TagDescription) string { return d.ResourceId + "\x00" + d.Key }
	slices.SortFunc(list, func(a, b TagDescription) int { return strings.Compare(key(a), key(b)) })
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 1000}, key)
	if err != nil {
		return nil, err
	}
	return &DescribeTagsOutput{list, next}, nil
}

// resourceTables pairs each ID type with the table that names of it are looked
// up in (see ResolveNames).
func (tx *Tx) resourceTables() map[reflect.Type]taggedTable {
	tables := map[reflect.Type]taggedTable{}
	for _, t := range tx.tagged() {
		for id, k := range idKinds {
			if k.prefix == t.kind.prefix {
				tables[id] = t
			}
		}
	}
	return tables
}
