package awscli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// words splits a line as a shell does.
func words(line string) ([]string, error) {
	var list []string
	var word strings.Builder
	quote, inWord := rune(0), false
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ':
			if inWord {
				list = append(list, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote is open")
	}
	if inWord {
		list = append(list, word.String())
	}
	return list, nil
}

func parseLine(line string) (vpc.Action, any, Options, error) {
	args, err := words(line)
	if err != nil {
		return vpc.Action{}, nil, Options{}, err
	}
	name, rest, err := Split(args)
	if err != nil {
		return vpc.Action{}, nil, Options{}, err
	}
	a, err := ActionName(name)
	if err != nil {
		return a, nil, Options{}, err
	}
	in, opts, err := Parse(a, rest)
	return a, in, opts, err
}

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{
		"CreateVpc": "create-vpc", "DescribeNetworkInterfaces": "describe-network-interfaces",
		"Ipv6CidrBlock": "ipv6-cidr-block", "DisableApiTermination": "disable-api-termination",
		"AssignPrivateIpAddresses": "assign-private-ip-addresses", "ResourceARNs": "resource-arns",
		"EnableVpcClassicLinkDnsSupport": "enable-vpc-classic-link-dns-support", "ARNs": "arns",
	} {
		if got := kebab(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestActionName(t *testing.T) {
	for _, name := range Actions() {
		if a, err := ActionName(name); err != nil || kebab(a.Name) != name {
			t.Errorf("%s: %v %v", name, a.Name, err)
		}
	}
	for name, want := range map[string]string{
		"create-vcp":     "did you mean create-vpc",
		"describe-vpc":   "did you mean describe-vpcs or describe-vpc-attribute or describe-vpc-endpoints?",
		"run-instance":   "did you mean run-instances",
		"create-volumes": "no such action",
		"wait":           "add --wait to the action",
		"frobnicate":     "`vpcemu ec2` lists the actions",
	} {
		if _, err := ActionName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// example makes data for a member of the type: every member of a structure, two
// items of a list.
func example(t *testing.T, typ reflect.Type) any {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == blobType:
		return []byte{0, 1, 254}
	case typ.Kind() == reflect.Slice:
		return []any{example(t, typ.Elem()), example(t, typ.Elem())}
	case isStructure(typ):
		m := map[string]any{}
		for i := range typ.NumField() {
			m[wireName(typ.Field(i))] = example(t, typ.Field(i).Type)
		}
		return m
	case typ.Kind() == reflect.Bool:
		return true
	case typ.Kind() == reflect.Int:
		return json.Number("7")
	case typ.Kind() == reflect.String:
		return "a, \"b\" 'c' = [d] {e} \\ é"
	}
	t.Fatalf("no example of %s", typ)
	return nil
}

// arguments writes data as arguments of a flag, structures as JSON or shorthand.
func arguments(v any, short bool) []string {
	switch v := v.(type) {
	case []any:
		var args []string
		for _, item := range v {
			args = append(args, arguments(item, short)...)
		}
		return args
	case map[string]any:
		if !short {
			b, _ := json.Marshal(v)
			return []string{string(b)}
		}
		s := shorthandText(v)
		return []string{s[1 : len(s)-1]}
	}
	return []string{jsonText(v)}
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	return string(b)
}

func shorthandText(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, shorthandText(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		var parts []string
		for _, k := range sortedKeys(v) {
			parts = append(parts, k+"="+shorthandText(v[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(jsonText(v)) + `"`
}

// TestEveryFlagOfEveryAction gives each flag of each action a value and finds it
// in the Input again.
func TestEveryFlagOfEveryAction(t *testing.T) {
	for _, a := range vpc.Actions() {
		for _, f := range flagsOf(a) {
			if f.fold != nil { // TestCommandsGiveTheRequestsOfTheAWSCLI has these
				continue
			}
			for _, short := range []bool{false, true} {
				checkFlag(t, a, f, short)
			}
		}
	}
}

func checkFlag(t *testing.T, a vpc.Action, f flag, short bool) {
	t.Helper()
	value := example(t, f.typ)
	args := []string{"--" + f.name}
	switch {
	case f.kind == boolean && f.typ.Kind() == reflect.Struct:
		value = map[string]any{"Value": !f.off}
	case f.kind == boolean:
		value = !f.off
	default:
		args = append(args, arguments(value, short)...)
	}
	p := parser{action: a, flags: flagsOf(a), given: map[string][]string{}, params: map[string]any{}, source: map[string]string{}}
	got, want := reflect.New(a.Input), reflect.New(a.Input)
	if err := p.scan(args); err != nil {
		t.Errorf("%s %q: %v", kebab(a.Name), args, err)
		return
	}
	if err := p.fill(got.Elem()); err != nil && !strings.Contains(err.Error(), " requires ") {
		t.Errorf("%s %q: %v", kebab(a.Name), args, err)
		return
	}
	member := field(want.Elem(), f.member)
	if err := (converter{}).assign(member, value, ""); err != nil {
		t.Errorf("%s %q: %v", kebab(a.Name), args, err)
		return
	}
	if f.member == "UserData" && f.typ == textType {
		member.SetString("YSwgImIiICdjJyA9IFtkXSB7ZX0gXCDDqQ==")
	}
	if d := cmp.Diff(member.Interface(), field(got.Elem(), f.member).Interface()); d != "" {
		t.Errorf("%s %q: -want +got:\n%s", kebab(a.Name), args, d)
	}
}

func TestLines(t *testing.T) {
	yes, no := true, false
	port := new(443)
	for line, want := range map[string]any{
		"authorize-security-group-ingress --group-id web --protocol tcp --port 443 --source-group lb": &vpc.AuthorizeSecurityGroupIngressInput{
			GroupId: "web", IpPermissions: []vpc.IpPermission{{IpProtocol: "tcp", FromPort: port, ToPort: port,
				UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: "lb"}}}}},
		"run-instances --subnet-id public --private-ip-address 10.0.0.4 --secondary-private-ip-addresses 10.0.0.5": &vpc.RunInstancesInput{
			MinCount: new(1), MaxCount: new(1), NetworkInterfaces: []vpc.InstanceNetworkInterfaceSpecification{{
				DeviceIndex: new(0), SubnetId: "public", PrivateIpAddresses: []vpc.PrivateIpAddressSpecification{
					{Primary: &yes, PrivateIpAddress: "10.0.0.4"}, {Primary: &no, PrivateIpAddress: "10.0.0.5"}}}}},
		"modify-instance-attribute --instance-id web --source-dest-check false": &vpc.ModifyInstanceAttributeInput{
			InstanceId: "web", SourceDestCheck: vpc.AttributeBooleanValue{Value: &no}},
		"authorize-security-group-egress --group-id web --port all --protocol udp --cidr 10.0.0.0/8": &vpc.AuthorizeSecurityGroupEgressInput{
			GroupId: "web", IpPermissions: []vpc.IpPermission{{IpProtocol: "udp", FromPort: new(0), ToPort: new(65535),
				IpRanges: []vpc.IpRange{{CidrIp: "10.0.0.0/8"}}}}},
		"create-vpc --cidr-block 10.0.0.0/16 --dry-run=false":                           &vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"},
		"--region eu-west-1 --no-cli-pager create-vpc --cidr-block 10.0.0.0/16":         &vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"},
		"import-key-pair --key-name k --public-key-material c3NoLXJzYQ==":               &vpc.ImportKeyPairInput{KeyName: "k", PublicKeyMaterial: []byte("ssh-rsa")},
		"describe-instances --instance-ids=web db -o text":                              &vpc.DescribeInstancesInput{InstanceIds: []vpc.InstanceID{"web", "db"}},
		`delete-vpc --cli-input-json {\"VpcId\":\"book\",\"DryRun\":true} --no-dry-run`: &vpc.DeleteVpcInput{VpcId: "book"},
		`create-security-group --group-name g --description=--x-- --vpc-id v`:           &vpc.CreateSecurityGroupInput{GroupName: "g", Description: "--x--", VpcId: "v"},
		"create-internet-host --user-data #!/bin/sh":                                    &vpc.CreateInternetHostInput{UserData: "IyEvYmluL3No"},
		"import-key-pair --key-name k --public-key-material ssh-rsa --cli-binary-format raw-in-base64-out": &vpc.ImportKeyPairInput{
			KeyName: "k", PublicKeyMaterial: []byte("ssh-rsa")},
		`modify-network-interface-attribute --network-interface-id e --description Value@=file://testdata/no-newline.txt`: &vpc.ModifyNetworkInterfaceAttributeInput{
			NetworkInterfaceId: "e", Description: &vpc.AttributeValue{Value: "text"}},
	} {
		_, got, _, err := parseLine(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got:\n%s", line, d)
		}
	}
}

func TestOptions(t *testing.T) {
	_, _, got, err := parseLine("--lab a describe-vpcs --output table --wait --region eu-west-1 --profile p --endpoint-url http://x --no-cli-pager")
	want := Options{Lab: "a", Output: "table", Wait: true, Region: "eu-west-1", Ignored: []string{"--profile", "--endpoint-url", "--no-cli-pager"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, line := range []string{"create-vpc help", "create-vpc --help", "create-vpc -h", "--lab a create-vpc help", "create-vpc --cidr-block x --help --nonsense"} {
		if _, in, got, err := parseLine(line); err != nil || !got.Help || in != nil {
			t.Errorf("%s: %v %+v %v", line, in, got, err)
		}
	}
}

// TestErrorsNameFlagAndRemedy: what a user sees of each mistake.
func TestErrorsNameFlagAndRemedy(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(binary, []byte{0xff, 0xfe}, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"create-vpc --cdir-block 10.0.0.0/16":                                                          "--cdir-block: create-vpc has no such flag (did you mean --cidr-block?); ",
		"create-vpc --cidr-block":                                                                      "--cidr-block: its value is missing",
		"create-vpc --cidr-block a b":                                                                  "b: --cidr-block takes one value: quote one that holds spaces",
		"create-vpc 10.0.0.0/16":                                                                       "10.0.0.0/16: a flag is expected here, such as --",
		"create-vpc --dry-run yes":                                                                     "yes: --dry-run takes no value",
		"create-vpc --dry-run=yes":                                                                     `--dry-run: "yes": it takes no value, or =true or =false`,
		"create-vpc --amazon-provided-ipv6-cidr-block":                                                 "--amazon-provided-ipv6-cidr-block: vpcemu does not have this parameter of create-vpc; leave it out",
		"create-vpc --cidr-block a --cidr-block b":                                                     "--cidr-block is given twice",
		"create-subnet --cidr-block 10.0.0.0/24":                                                       "create-subnet requires --vpc-id",
		"create-vpc --dry-run --no-dry-run":                                                            "--no-dry-run: cannot be combined with --dry-run",
		"describe-vpcs --filters Name=a,Values=b --filters Name=c":                                     "--filters is given twice: give all its values after one --filters, separated by spaces",
		"describe-vpcs --filters Name=a,Values=[b":                                                     "--filters: character 17: ']' or ',' expected, but the value ends here\n    Name=a,Values=[b\n                    ^",
		"describe-vpcs --filters Name=a,Value=b":                                                       `--filters: [0]: unknown key "Value" (did you mean Values?); the keys are Name, Values`,
		"describe-vpcs --filters Name=a Name":                                                          "--filters: value 2: character 5: '=' expected, but the value ends here",
		"describe-vpcs --filters Name=a,Name=b":                                                        "--filters: character 8: Name is there twice; a further structure is a further argument, after a space, not a comma",
		"describe-vpcs --filters Name=a,b,Values=c":                                                    "--filters: [0].Name: one text expected, got a list; put a value that holds a comma between quotes",
		`describe-vpcs --filters '[{"Name":]'`:                                                         "--filters: character 10: not JSON",
		"describe-vpcs --max-results many":                                                             `--max-results: a whole number expected, got "many"`,
		"describe-vpcs --max-results 99999999999999999999":                                             "--max-results: 99999999999999999999 is too large a number",
		"describe-vpcs --query Vpcs[":                                                                  "--query: Vpcs[: invalid JMESPath expression: Expected tStar, received: tEOF",
		"describe-vpcs --output xml":                                                                   "--output: xml: use json, yaml, text, table",
		"describe-vpcs --no-cli-pager=x":                                                               "--no-cli-pager takes no value",
		"describe-vpcs --filters file:///nowhere/x":                                                    "--filters: open /nowhere/x: no such file or directory",
		"run-instances --user-data file://" + binary:                                                   "is not text: use fileb:// for a binary file",
		"import-key-pair --key-name k --public-key-material ssh-rsa":                                   "--public-key-material: binary data is given in base64, or as fileb://FILE",
		`delete-vpc --cli-input-json {\"Vpc\":1}`:                                                      `--cli-input-json: unknown key "Vpc"`,
		`delete-vpc --cli-input-json {\"VpcId\":1}`:                                                    "--cli-input-json: VpcId: one text expected, got 1",
		`delete-vpc --cli-input-json {\"VpcId\"`:                                                       "--cli-input-json: character 9: not JSON: it ends here",
		"create-network-acl-entry --network-acl-id a --rule-number 1":                                  "create-network-acl-entry requires --egress or --ingress, --protocol, --rule-action",
		"authorize-security-group-ingress --group-id a --protocol foo":                                 `--protocol: "foo": use tcp, udp, icmp, all or a protocol number`,
		"authorize-security-group-ingress --group-id a --protocol 300":                                 "--protocol: 300: a protocol number is 0 to 255",
		"authorize-security-group-ingress --group-id a --port http":                                    `--port: "http": write a port, a range or all: 22, 8000-8100`,
		"authorize-security-group-ingress --group-id a --port=":                                        `--port: "": write a port`,
		"authorize-security-group-ingress --group-id a --cidr x --ip-p {}":                             "--ip-p is ambiguous: it could be --ip-permissions or --ip-protocol",
		"authorize-security-group-ingress --group-id a --cidr x --ip-permissions {}":                   "--cidr: cannot be combined with --ip-permissions: put all into it",
		"run-instances --count 1-2":                                                                    `--count: "1-2": write a number, or MIN:MAX`,
		"run-instances --network-interfaces DeviceIndex=0 --associate-public-ip-address":               "cannot be combined with --network-interfaces: put all into it",
		"run-instances --associate-public-ip-address --no-associate-public-ip-address":                 "--no-associate-public-ip-address: cannot be combined with its opposite",
		"modify-subnet-attribute --subnet-id s --map-public-ip-on-launch maybe":                        `--map-public-ip-on-launch: "maybe": write nothing, Value=true or Value=false`,
		"modify-subnet-attribute --subnet-id s --map-public-ip-on-launch --no-map-public-ip-on-launch": "--no-map-public-ip-on-launch: cannot be combined with --map-public-ip-on-launch",
		"--cidr-block 10.0.0.0/16 create-vpc":                                                          "--cidr-block: the action comes first",
	} {
		_, _, _, err := parseLine(line)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", line, err, want)
		}
	}
}

func TestHelpShowsEveryFlagAndItsExamplesParse(t *testing.T) {
	for _, a := range vpc.Actions() {
		text := Help(a)
		for _, f := range shownFlags(a) {
			if !strings.Contains(text, "--"+f.name) {
				t.Errorf("%s: the help has no --%s", kebab(a.Name), f.name)
			}
		}
		for _, f := range Flags(a) {
			if !strings.HasPrefix(f, "--") {
				t.Errorf("%s: flag %s", kebab(a.Name), f)
			}
		}
	}
	// The examples read files.
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Chdir(home)
	if err := os.MkdirAll(".ssh", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".ssh/id_ed25519.pub", "setup.sh"} {
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, lines := range examples {
		if _, ok := vpc.LookupAction(name); !ok {
			t.Errorf("examples of %s, which is no action", name)
		}
		for _, line := range lines {
			if _, _, _, err := parseLine(kebab(name) + " " + line); err != nil {
				t.Errorf("%s %s: %v", kebab(name), line, err)
			}
		}
	}
}
