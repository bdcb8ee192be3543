package awscli

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Options are the flags that all actions have.
type Options struct {
	Help   bool   // print Help instead of doing anything
	Lab    string // --lab, vpcemu's own
	Wait   bool   // --wait, vpcemu's own
	Output string // a format of Print: json unless said otherwise
	Region string // --region, "" if not given
	Query  *Query // --query, nil if not given
	// Ignored are the flags given that concern AWS's endpoints and accounts and
	// change nothing here.
	Ignored []string

	inputJSON string // --cli-input-json
	rawBinary bool   // --cli-binary-format raw-in-base64-out
}

// global is a flag of all actions.
type global struct {
	name  string
	value bool
	about string // "": not in the help
	set   func(o *Options, value string) error
}

var globals = []global{
	{"output", true, "json (default), yaml, text or table", func(o *Options, v string) error {
		o.Output = v
		return checkFormat(v)
	}},
	{"cli-input-json", true, "the parameters as JSON, or file://FILE; flags override it", func(o *Options, v string) error {
		o.inputJSON = v
		return nil
	}},
	{"query", true, "which part of the answer to print, as a JMESPath expression", func(o *Options, v string) (err error) {
		o.Query, err = newQuery(v)
		return err
	}},
	{"wait", false, "return once the instances concerned have reached their state", func(o *Options, _ string) error {
		o.Wait = true
		return nil
	}},
	{"lab", true, "name of the lab; without it, the only lab there is", func(o *Options, v string) error {
		o.Lab = v
		return nil
	}},
	{"help", false, "this text", func(o *Options, _ string) error {
		o.Help = true
		return nil
	}},
	{"region", true, "the Region; without it, the lab's own", func(o *Options, v string) error {
		o.Region = v
		return nil
	}},
	{"cli-binary-format", true, "", setBinaryFormat},
	ignored("profile", true), ignored("endpoint-url", true), ignored("no-cli-pager", false), ignored("debug", false),
	ignored("color", true), ignored("ca-bundle", true), ignored("cli-read-timeout", true), ignored("cli-connect-timeout", true),
	ignored("no-verify-ssl", false), ignored("no-sign-request", false), ignored("no-paginate", false), ignored("page-size", true),
	ignored("cli-auto-prompt", false), ignored("no-cli-auto-prompt", false),
	refused("max-items", "use --max-results"),
	refused("starting-token", "use --next-token"),
	refused("cli-input-yaml", "use --cli-input-json"),
	refused("generate-cli-skeleton", "not supported: --help shows the parameters"),
}

func ignored(name string, value bool) global {
	return global{name, value, "", func(o *Options, _ string) error {
		o.Ignored = append(o.Ignored, "--"+name)
		return nil
	}}
}

func refused(name, remedy string) global {
	return global{name, true, "", func(*Options, string) error { return fmt.Errorf("%s", remedy) }}
}

func setBinaryFormat(o *Options, v string) error {
	if v != "base64" && v != "raw-in-base64-out" {
		return fmt.Errorf("%s: use base64 or raw-in-base64-out", v)
	}
	o.rawBinary = v != "base64"
	return nil
}

func findGlobal(name string) (global, bool) {
	i := slices.IndexFunc(globals, func(g global) bool { return g.name == name })
	if i < 0 {
		return global{}, false
	}
	return globals[i], true
}

var flagShape = regexp.MustCompile(`^--[A-Za-z][A-Za-z0-9-]*(=|$)`)

// isFlag reports whether an argument is a flag and not a value: text with dashes
// in front, such as a line of a PEM file, is a value.
func isFlag(arg string) bool { return arg == "-h" || arg == "-o" || flagShape.MatchString(arg) }

// splitFlag gives the name of a flag and the value after "=", if there is one.
func splitFlag(arg string) (name, value string, hasValue bool) {
	switch arg {
	case "-h":
		return "help", "", false
	case "-o": // as in vpcemu's other commands
		return "output", "", false
	}
	name, value, hasValue = strings.Cut(strings.TrimPrefix(arg, "--"), "=")
	return name, value, hasValue
}

// Split finds the action among the arguments of `vpcemu ec2`: global flags may
// come before it. Action is "" if there is none; rest is all but the action, with
// a "help" right after it in front.
func Split(args []string) (action string, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		if !isFlag(args[i]) {
			rest = slices.Concat(args[:i], args[i+1:])
			if i > 0 && i+1 < len(args) && args[i+1] == "help" {
				rest = slices.Concat(args[i+1:i+2], args[:i], args[i+2:])
			}
			return args[i], rest, nil
		}
		name, _, hasValue := splitFlag(args[i])
		g, ok := findGlobal(name)
		if !ok {
			return "", nil, fmt.Errorf("--%s: the action comes first: vpcemu ec2 ACTION --flags", name)
		}
		if g.value && !hasValue {
			i++
		}
	}
	return "", args, nil
}

// Parse reads the arguments after the action's name. The input is a pointer to
// the action's Input. With Options.Help there is no input.
func Parse(a vpc.Action, args []string) (input any, opts Options, err error) {
	p := parser{action: a, flags: flagsOf(a), given: map[string][]string{}, params: map[string]any{}, source: map[string]string{}}
	p.opts.Output = "json"
	if err := p.scan(args); err != nil || p.opts.Help {
		return nil, p.opts, err
	}
	in := reflect.New(a.Input)
	if err := p.fill(in.Elem()); err != nil {
		return nil, p.opts, err
	}
	return in.Interface(), p.opts, nil
}

// ParseGlobal reads arguments that hold no action, only global flags.
func ParseGlobal(args []string) (Options, error) {
	p := parser{given: map[string][]string{}}
	p.opts.Output = "json"
	return p.opts, p.scan(args)
}

type parser struct {
	action  vpc.Action
	flags   []flag
	opts    Options
	given   map[string][]string // values by flag
	order   []string            // the flags given
	reading string              // the flag whose values are being read
	params  map[string]any      // plain data by member of the Input
	source  map[string]string   // which flag gave a member, for errors
}

// scan sorts the arguments by flag, as far as possible without reading values.
func (p *parser) scan(args []string) error {
	if len(args) > 0 && args[0] == "help" {
		args = []string{"--help"}
	}
	for len(args) > 0 {
		if !isFlag(args[0]) {
			return p.strayValue(args[0])
		}
		name, value, hasValue := splitFlag(args[0])
		args = args[1:]
		n := 0
		for n < len(args) && !isFlag(args[n]) {
			n++
		}
		values := args[:n:n]
		if hasValue {
			values = slices.Concat([]string{value}, values)
		}
		used, err := p.take(name, values, hasValue)
		if err != nil || p.opts.Help {
			return err
		}
		if hasValue {
			used--
		}
		args = args[max(0, used):]
	}
	return nil
}

// take gives a flag its values, of those that follow it, and tells how many it
// took. inline: the first was written after "=".
func (p *parser) take(name string, values []string, inline bool) (int, error) {
	name, err := p.fullName(name)
	if err != nil {
		return 0, err
	}
	if f, ok := findFlag(p.flags, name); ok {
		return p.takeFlag(f, values, inline)
	}
	g, ok := findGlobal(name)
	if !ok {
		return 0, p.unknownFlag(name)
	}
	value, used := "", 0
	if g.value {
		if len(values) == 0 {
			return 0, fmt.Errorf("--%s: its value is missing", name)
		}
		value, used = values[0], 1
	} else if inline {
		return 0, fmt.Errorf("--%s takes no value", name)
	}
	if err := g.set(&p.opts, value); err != nil {
		return 0, fmt.Errorf("--%s: %w", name, err)
	}
	return used, nil
}

// fullName completes a flag that is cut short, as the AWS CLI does and its own
// documentation makes use of (--tag-specification).
func (p *parser) fullName(name string) (string, error) {
	if _, ok := findFlag(p.flags, name); ok {
		return name, nil
	}
	if _, ok := findGlobal(name); ok || knownToAWS(p.action, name) {
		return name, nil
	}
	var full []string
	for _, f := range p.flags {
		if strings.HasPrefix(f.name, name) {
			full = append(full, f.name)
		}
	}
	switch len(full) {
	case 0:
		return name, nil
	case 1:
		return full[0], nil
	}
	return "", fmt.Errorf("--%s is ambiguous: it could be --%s", name, strings.Join(full, " or --"))
}

func (p *parser) takeFlag(f flag, values []string, inline bool) (int, error) {
	if _, twice := p.given[f.name]; twice {
		if f.isSeveral() {
			return 0, fmt.Errorf("--%s is given twice: give all its values after one --%s, separated by spaces", f.name, f.name)
		}
		return 0, fmt.Errorf("--%s is given twice", f.name)
	}
	n := len(values)
	switch f.kind {
	case boolean:
		n = 0
		if inline {
			n = 1
		}
	case booleanValue:
		n = min(n, 1)
	case scalar, structure:
		if n == 0 {
			return 0, p.missingValue(f)
		}
		n = 1
	default:
		if n == 0 {
			return 0, p.missingValue(f)
		}
	}
	p.given[f.name] = values[:n:n]
	p.order = append(p.order, f.name)
	return n, nil
}

func (p *parser) missingValue(f flag) error {
	return fmt.Errorf("--%s: its value is missing: --%s %s (a value that begins with dashes is written --%s=VALUE)", f.name, f.name, f.usage(), f.name)
}

func (p *parser) strayValue(arg string) error {
	if len(p.order) == 0 {
		return fmt.Errorf("%s: a flag is expected here, such as --%s", arg, p.exampleFlag())
	}
	f, _ := findFlag(p.flags, p.order[len(p.order)-1])
	if f.kind == boolean {
		return fmt.Errorf("%s: --%s takes no value", arg, f.name)
	}
	return fmt.Errorf("%s: --%s takes one value: quote one that holds spaces", arg, f.name)
}

func (p *parser) exampleFlag() string {
	if r := required(p.action); len(r) > 0 {
		return r[0]
	}
	return "dry-run"
}

func (p *parser) unknownFlag(name string) error {
	if p.action.Name == "" {
		return fmt.Errorf("--%s: the action comes first: vpcemu ec2 ACTION --flags", name)
	}
	action := kebab(p.action.Name)
	if knownToAWS(p.action, name) {
		return fmt.Errorf("--%s: vpcemu does not have this parameter of %s; leave it out", name, action)
	}
	var known []string
	for _, f := range p.flags {
		known = append(known, "--"+f.name)
	}
	for _, g := range globals {
		known = append(known, "--"+g.name)
	}
	return fmt.Errorf("--%s: %s has no such flag%s; `vpcemu ec2 %s help` lists its flags", name, action, didYouMean("--"+name, known), action)
}

// fill makes the Input of what was given.
func (p *parser) fill(in reflect.Value) error {
	if err := p.readInputJSON(); err != nil {
		return err
	}
	for _, name := range p.order {
		f, _ := findFlag(p.flags, name)
		p.reading = name
		if err := p.read(f, p.given[name]); err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
	}
	p.finish()
	for _, member := range sortedKeys(p.params) {
		source := p.source[member]
		if source == "" {
			source = "cli-input-json"
		}
		c := converter{rawBinary: p.opts.rawBinary}
		if err := c.member(in, member, p.params[member], source == "cli-input-json"); err != nil {
			return fmt.Errorf("--%s: %w", source, err)
		}
	}
	return p.checkRequired()
}

// set notes a member's data and the flag that it comes from.
func (p *parser) set(f flag, value any) error {
	if other := p.source[f.member]; other != "" {
		return fmt.Errorf("cannot be combined with --%s", other)
	}
	p.params[f.member] = value
	p.source[f.member] = f.name
	return nil
}

func (p *parser) checkRequired() error {
	var missing []string
	for _, name := range required(p.action) {
		f, ok := findFlag(p.flags, name)
		if !ok {
			continue
		}
		if _, given := p.params[f.member]; !given && len(p.given[name]) == 0 {
			missing = append(missing, p.requiredText(f))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s requires %s", kebab(p.action.Name), strings.Join(missing, ", "))
}

// requiredText names a required flag, or the pair of which one is.
func (p *parser) requiredText(f flag) string {
	if f.kind == boolean && !f.off {
		return "--" + f.name + " or --" + offName(f)
	}
	return "--" + f.name
}
