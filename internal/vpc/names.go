package vpc

import (
	"reflect"
	"slices"
	"strings"
)

// ResolveNames replaces names by IDs in an operation's input, a pointer to one
// of the Input structs, before the operation runs: wherever the input has a
// field, list or nested field of an ID type, a value that has not the form of
// an ID is looked up as the Name tag of the objects of that type, a security
// group also by its GroupName, a key pair by its KeyName. Deleted objects have
// no names.
//
// A name that nothing has, or that several objects have, is an *Error that says
// so; of security groups of one name, the one in the VPC that the input names or
// whose object it names (VpcId, SubnetId, InstanceId …) is meant, and one in a
// default VPC without any network interface only where there is no other. IDs that
// cannot be named, such as those of associations, are left for the operation to
// judge. Names are those of the objects of a Region, "" the home Region, and of what
// is in none.
func ResolveNames(m *Model, region string, input any) error {
	tx := &Tx{Model: m.In(region)} // only read
	m = &tx.Model
	r := resolver{tx: tx, tables: tx.resourceTables()}
	v := reflect.ValueOf(input)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	// What tells the VPC first, as it decides between groups of one name.
	for _, name := range []string{"VpcId", "SubnetId", "InstanceId", "NetworkInterfaceId", "GroupId"} {
		if f := fieldOf(v, name); f.IsValid() {
			if err := r.walk(f); err != nil {
				return err
			}
			if r.vpc = m.vpcOf(f); r.vpc != "" {
				break
			}
		}
	}
	if f := fieldOf(v, "ResourceType"); f.IsValid() {
		r.only = idKinds[flowLogResources[f.String()]].prefix
	}
	return r.walk(v)
}

// flowLogResources are the types of ID that ResourceIds are, by ResourceType.
var flowLogResources = map[string]reflect.Type{
	FlowLogVpc: reflect.TypeFor[VpcID](), FlowLogSubnet: reflect.TypeFor[SubnetID](), FlowLogNetworkInterface: reflect.TypeFor[NetworkInterfaceID](),
}

func fieldOf(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}

// vpcOf is the VPC of the object that a field names, "" if it names none.
func (m *Model) vpcOf(f reflect.Value) VpcID {
	switch id := f.Interface().(type) {
	case VpcID:
		return id
	case SubnetID:
		if s := m.Subnets.Get(id); s != nil {
			return s.VpcID
		}
	case InstanceID:
		if i := m.Instances.Get(id); i != nil {
			return i.VpcID
		}
	case NetworkInterfaceID:
		if e := m.NetworkInterfaces.Get(id); e != nil {
			return e.VpcID
		}
	case SecurityGroupID:
		if g := m.SecurityGroups.Get(id); g != nil {
			return g.VpcID
		}
	}
	return ""
}

// unused tells whether a VPC is the default one and nothing is in it.
func (m *Model) unused(id VpcID) bool {
	v := m.Vpcs.Get(id)
	if v == nil || !v.IsDefault {
		return false
	}
	for _, e := range m.NetworkInterfaces.All() {
		if e.VpcID == id {
			return false
		}
	}
	return true
}

type resolver struct {
	tx     *Tx
	tables map[reflect.Type]taggedTable
	vpc    VpcID
	only   string // the prefix of the IDs that a ResourceID may stand for, "" for all
}

func (r *resolver) walk(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return r.walk(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if err := r.walk(v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := r.walk(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.String:
		return r.resolve(v)
	}
	return nil
}

func (r *resolver) resolve(v reflect.Value) error {
	name := v.String()
	if name == "" || v.Type() == reflect.TypeFor[DhcpOptionsID]() && name == string(noDhcpOptions) {
		return nil
	}
	var id string
	var err error
	if v.Type() == reflect.TypeFor[ResourceID]() {
		id, err = r.anyNamed(name)
	} else if k := idKinds[v.Type()]; v.Type() == reflect.TypeFor[InternetHostID]() && !WellFormed(k.prefix, name) {
		id, err = r.choose(k, name, r.hostsNamed(name))
	} else {
		table, ok := r.tables[v.Type()]
		if !ok || WellFormed(table.kind.prefix, name) {
			return nil
		}
		id, err = r.choose(table.kind, name, r.named(table, name))
	}
	if err != nil {
		return err
	}
	v.SetString(id)
	return nil
}

// anyNamed finds the one object of whatever type that has the name.
func (r *resolver) anyNamed(name string) (string, error) {
	var found []string
	kind := idKind{noun: "resource", notFound: "InvalidID", malformed: "InvalidID"}
	for _, t := range r.tx.tagged() {
		if WellFormed(t.kind.prefix, name) {
			return name, nil
		}
		if r.only != "" && r.only != t.kind.prefix {
			continue
		} else if r.only != "" {
			kind = t.kind
		}
		found = append(found, r.named(t, name)...)
	}
	return r.choose(kind, name, found)
}

// named lists the objects of a table that have the name.
func (r *resolver) named(t taggedTable, name string) []string {
	var found []string
	t.all(func(id string, m *Meta) {
		if m.Name() == name || r.ownName(t.kind, id) == name {
			found = append(found, id)
		}
	})
	return found
}

// hostsNamed lists the Internet hosts that have the name, which have no tags.
func (r *resolver) hostsNamed(name string) (found []string) {
	for id, h := range r.tx.InternetHosts.All() {
		if h.HostName == name && h.State != StateTerminated {
			found = append(found, string(id))
		}
	}
	return found
}

// ownName is the name that an object has besides its Name tag.
func (r *resolver) ownName(k idKind, id string) string {
	switch k.prefix {
	case "sg-":
		return r.tx.SecurityGroups.Get(SecurityGroupID(id)).GroupName
	case "key-":
		for _, p := range r.tx.KeyPairs.All() {
			if string(p.ID) == id {
				return p.KeyName
			}
		}
	}
	return ""
}

func (r *resolver) choose(k idKind, name string, found []string) (string, error) {
	if len(found) > 1 && k.prefix == "sg-" {
		found = slices.DeleteFunc(found, func(id string) bool {
			vpc := r.tx.SecurityGroups.Get(SecurityGroupID(id)).VpcID
			return r.vpc != "" && vpc != r.vpc || r.vpc == "" && r.tx.unused(vpc)
		})
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", errInvalid("%s: several objects of type %s have this name: %s", name, k.typeName(), strings.Join(found, ", "))
	case k.prefix != "" && strings.HasPrefix(name, k.prefix):
		return "", k.malformedError(name)
	}
	return "", errorf(k.notFound, "%s: no %s has this ID or name", name, k.typeName())
}

func (k idKind) typeName() string {
	if k.resource != "" {
		return k.resource
	}
	return k.noun
}
