package vpc

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Error is an EC2 API error: the code is AWS's own and clients match on it.
type Error struct {
	Code    string // InvalidSubnet.Conflict
	Message string
	Partial bool // what the operation did before it failed stands
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func errorf(code, format string, a ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, a...)}
}

// Stands tells whether what an operation did is to be kept: it succeeded, or failed in part.
func Stands(err error) bool {
	e := (*Error)(nil)
	return err == nil || errors.As(err, &e) && e.Partial
}

// Call is what an operation needs from outside besides its input.
type Call struct {
	Now time.Time
	// Region is where the call goes: it sees and changes what is there, and nothing
	// else. "" is the lab's home Region.
	Region string
	// NewID draws an ID with the given prefix ("vpc-"). The topology front end
	// derives IDs from the lab, type, name and incarnation, so that the same
	// file gives the same IDs; other front ends pass RandomID. It must never
	// repeat itself: CreateVpc alone asks for two IDs of rules ("sgr-").
	NewID func(prefix string) string
	// NewKey makes a private key of the type (rsa, ed25519) for CreateKeyPair;
	// front ends pass RandomKey. Nil: the call makes no keys.
	NewKey func(keyType string) (crypto.Signer, error)
	// Console gives what an instance wrote to its console, for GetConsoleOutput; nil where there are no consoles.
	Console func(InstanceID) ([]byte, error)
	// Client: the call is that of a client of AWS's, who must name what vpcemu's own commands and
	// files may leave out: the image, and the device index of a single network interface.
	Client bool
	// AtOnce has states that pass do so without delay, whatever API.Delays says.
	AtOnce bool
	// Source is put into the Meta of the objects that the call makes.
	Source string
}

// Tx is a working copy of a model on which operations run one after another.
// Each operation is all or nothing: one that returns an error has changed
// nothing. Its exported methods of the form
//
//	func (tx *Tx) CreateVpc(in *CreateVpcInput) (*CreateVpcOutput, error)
//
// are the EC2 actions; Actions lists them.
type Tx struct {
	Model
	Region string // of the call: shadows the home Region, Model.Region
	Call   Call
}

// Begin returns a working copy of m. m is not changed by what is done to it.
func Begin(m *Model, c Call) *Tx {
	return &Tx{Model: m.Clone(), Region: cmp.Or(c.Region, m.Region), Call: c}
}

// Action is one EC2 action that the model knows.
type Action struct {
	Name   string       // CreateVpc
	Input  reflect.Type // CreateVpcInput (struct)
	Output reflect.Type // CreateVpcOutput (struct)
}

var actions = findActions()

func findActions() map[string]Action {
	found := map[string]Action{}
	t := reflect.TypeFor[*Tx]()
	for i := range t.NumMethod() {
		m := t.Method(i)
		if m.Type.NumIn() != 2 || m.Type.NumOut() != 2 || m.Type.In(1).Kind() != reflect.Pointer {
			continue
		}
		in := m.Type.In(1).Elem()
		if in.Name() != m.Name+"Input" {
			continue
		}
		found[m.Name] = Action{Name: m.Name, Input: in, Output: m.Type.Out(0).Elem()}
	}
	for name, a := range absentActions {
		in, out := a.types()
		found[name] = Action{Name: name, Input: in, Output: out}
	}
	return found
}

// Actions returns every action, ordered by name.
func Actions() []Action {
	list := slices.Collect(maps.Values(actions))
	slices.SortFunc(list, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// LookupAction finds an action by its EC2 name ("CreateVpc").
func LookupAction(name string) (Action, bool) { a, ok := actions[name]; return a, ok }

// Run performs the named action with in, a pointer to its Input type, in the Region
// of the call, which it opens where it is not yet. On an error the working copy is as
// it was before the call, unless the error is Partial.
func (tx *Tx) Run(name string, in any) (any, error) {
	a, ok := actions[name]
	if !ok {
		return nil, errorf("InvalidAction", "The action %s is not valid for this web service.", name)
	}
	if reflect.TypeOf(in) != reflect.PointerTo(a.Input) {
		return nil, fmt.Errorf("vpc: %s takes *%s, got %T", name, a.Input.Name(), in)
	}
	before := tx.Model.Clone()
	out, err := tx.runIn(cmp.Or(tx.Call.Region, tx.Model.Region), a, in)
	if !Stands(err) {
		tx.Model = before
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// runIn shows the action its Region alone.
func (tx *Tx) runIn(region string, a Action, in any) (any, error) {
	if err := tx.OpenRegion(region); err != nil {
		return nil, err
	}
	tx.Region = region
	tx.look(region)
	defer tx.look("")
	return tx.perform(a, in)
}
