package vpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Tag is a key and a value; the tag Name is an object's name.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// TagSpecification tags what an operation makes, by resource type ("vpc").
type TagSpecification struct {
	ResourceType string
	Tags         []Tag
}

// AttributeBooleanValue wraps a flag in the operations that change or tell one
// attribute of several; Value is nil where the attribute is not concerned.
type AttributeBooleanValue struct {
	Value *bool `json:"Value,omitempty"`
}

// AttributeValue wraps a text likewise.
type AttributeValue struct {
	Value string `json:"Value"`
}

// OptionalAttributeValue is a text that may not be there.
type OptionalAttributeValue struct {
	Value string `json:"Value,omitempty"`
}

// NamedTag is the tag specification that gives an object of the resource type
// its name.
func NamedTag(resourceType, name string) []TagSpecification {
	return []TagSpecification{{resourceType, []Tag{{"Name", name}}}}
}

func errMissing(param string) error {
	return errorf("MissingParameter", "The request must contain the parameter %s", param)
}

func errInvalid(format string, a ...any) error {
	return errorf("InvalidParameterValue", format, a...)
}

func errValue(value any, param, why string) error {
	return errorf("InvalidParameterValue", "Value (%v) for parameter %s is invalid. %s", value, param, why)
}

// errDependency is the answer to deleting what others still need. Terraform
// retries on its code.
func errDependency(noun string, id any) error {
	return errorf("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted.", noun, id)
}

// newMeta is the Meta of an object of the resource type that the call makes.
func (tx *Tx) newMeta(resourceType string, specs []TagSpecification) (Meta, error) {
	m := Meta{Account: tx.Account, Region: tx.Region, Source: tx.Call.Source, Created: tx.Call.Now}
	tags, err := specTags(specs, resourceType)
	m.Tags = tags
	return m, err
}

// specTags picks the tags for one resource type. also names further types that
// the operation makes; any other type in specs is an error, as on AWS.
func specTags(specs []TagSpecification, resourceType string, also ...string) (map[string]string, error) {
	var tags map[string]string
	for _, s := range specs {
		if s.ResourceType != resourceType {
			if slices.Contains(also, s.ResourceType) {
				continue
			}
			if s.ResourceType == "" {
				return nil, errInvalid("Tag specification resource type must have a value")
			}
			return nil, errInvalid("'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		var err error
		if tags, err = addTags(tags, s.Tags); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// Limits of tags (EC2 User Guide, Tag restrictions).
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// addTags returns tags with add in it; tags itself is left alone.
func addTags(tags map[string]string, add []Tag) (map[string]string, error) {
	if len(add) == 0 {
		return tags, nil
	}
	tags = maps.Clone(tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for i, t := range add {
		switch {
		case !writable(t.Key) || !writable(t.Value):
			return nil, errInvalid("Tag keys and values have text that XML can carry: UTF-8 without control characters.")
		case slices.ContainsFunc(add[:i], func(o Tag) bool { return o.Key == t.Key }):
			return nil, errInvalid("Duplicate tag key '%s' specified.", t.Key)
		case t.Key == "":
			return nil, errInvalid("Tag keys cannot be empty.")
		case len([]rune(t.Key)) > maxTagKey:
			return nil, errInvalid("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case len([]rune(t.Value)) > maxTagValue:
			return nil, errInvalid("Tag value exceeds the maximum length of %d characters", maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, errInvalid("Tag keys starting with 'aws:' are reserved for internal use")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > maxTags {
		return nil, errorf("TagLimitExceeded", "The maximum number of tags (%d) has been reached for this resource.", maxTags)
	}
	return tags, nil
}

// writable tells whether XML 1.0 can carry the text (section 2.2): no answer could have it otherwise.
func writable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
	})
}

// tagList is the form in which the API answers tags: ordered by key, never nil.
func tagList(tags map[string]string) []Tag {
	list := make([]Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, Tag{k, tags[k]})
	}
	return list
}

// parseCidr reads an IPv4 block and clears its host bits (AD-02).
func parseCidr(s, param string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, errValue(s, param, "This is not a valid CIDR block.")
	}
	return p.Masked(), nil
}

// contains reports whether every address of inner lies in outer.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// TokenRecord remembers what a request with a client token was answered, so that
// a repetition gets the same answer (API notes, 1.4). Key: see Model.ClientTokens.
type TokenRecord struct {
	Input   json.RawMessage
	Output  json.RawMessage
	Created time.Time
}

// tokenLifetime is how long a client token is remembered.
const tokenLifetime = 24 * time.Hour

// errDryRun is how a dry run that found nothing wrong is answered.
var errDryRun = errorf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")

// perform calls the action's method with the two parameters that mean the same
// in every action: DryRun and ClientToken.
func (tx *Tx) perform(a Action, in any) (any, error) {
	token, _ := inputField(in, "ClientToken").(string)
	if len(token) > 64 || strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII }) {
		return nil, errInvalid("The client token may have at most 64 ASCII characters.")
	}
	key := a.Name + "/" + token
	if tx.Region != tx.Model.Region {
		key = tx.Region + "/" + key
	}
	in, dry := dryRun(in)
	var out any
	var err error
	if token != "" {
		out, err = tx.replay(a, key, in)
	}
	replayed := out != nil
	if !replayed && err == nil {
		out, err = tx.do(a, in)
	}
	switch {
	case err != nil && dry:
		return nil, whole(err)
	case err != nil:
		return nil, err
	case dry:
		return nil, errDryRun
	case token != "" && !replayed:
		return out, tx.remember(key, in, out)
	}
	return out, nil
}

// whole is an error that leaves nothing done.
func whole(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) && e.Partial {
		return &Error{Code: e.Code, Message: e.Message}
	}
	return err
}

// dryRun tells whether in asks for a dry run, and gives what it would have done: for the
// client token it is the same request.
func dryRun(in any) (any, bool) {
	if dry, _ := inputField(in, "DryRun").(bool); !dry {
		return in, false
	}
	wet := reflect.New(reflect.TypeOf(in).Elem())
	wet.Elem().Set(reflect.ValueOf(in).Elem())
	wet.Elem().FieldByName("DryRun").SetBool(false)
	return wet.Interface(), true
}

// do calls the action's method, or answers for what a lab never has.
func (tx *Tx) do(a Action, in any) (any, error) {
	if absent := absentActions[a.Name]; absent != nil {
		return absent.run(a.Output, in)
	}
	results := reflect.ValueOf(tx).MethodByName(a.Name).Call([]reflect.Value{reflect.ValueOf(in)})
	err, _ := results[1].Interface().(error)
	return results[0].Interface(), err
}

// inputField is the value of a field of the input, nil if it has none.
func inputField(in any, name string) any {
	if f := reflect.ValueOf(in).Elem().FieldByName(name); f.IsValid() {
		return f.Interface()
	}
	return nil
}

func (tx *Tx) replay(a Action, key string, in any) (any, error) {
	r := tx.ClientTokens.Get(key)
	if r == nil || tx.Call.Now.Sub(r.Created) > tokenLifetime {
		return nil, nil
	}
	now, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(now, r.Input) {
		return nil, errorf("IdempotentParameterMismatch", "The client token was used in an earlier request with other parameters.")
	}
	out := reflect.New(a.Output).Interface()
	return out, json.Unmarshal(r.Output, out)
}

func (tx *Tx) remember(key string, in, out any) error {
	for k, r := range tx.ClientTokens.All() {
		if tx.Call.Now.Sub(r.Created) > tokenLifetime {
			tx.ClientTokens.Delete(k)
		}
	}
	i, err := json.Marshal(in)
	if err != nil {
		return err
	}
	o, err := json.Marshal(out)
	if err != nil {
		return err
	}
	tx.ClientTokens.Put(key, &TokenRecord{Input: i, Output: o, Created: tx.Call.Now})
	return nil
}

// prefixText is the block, or "" for none.
func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
