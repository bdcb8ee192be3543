package ec2api_test

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/internal/ec2api"
	"github.com/vpcemu/vpcemu/internal/ec2api/apitest"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const someSignature = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func authorization(service string) string {
	return "AWS4-HMAC-SHA256 Credential=any/20261128/us-east-1/" + service + "/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + someSignature
}

// post sends a form as a client does.
func post(t *testing.T, to, service, form string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("Authorization", authorization(service))
	r.Header.Set("X-Amz-Date", "20261128T120000Z")
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const version = "&Version=2016-11-15"

func TestServer_Answers(t *testing.T) {
	at := apitest.New(t).Serve(t)
	for _, tt := range []struct {
		name, service, form string
		status              int
		want                []string
	}{
		{"a success", "ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/16" + version, 200,
			[]string{`<CreateVpcResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>`, "<state>pending</state>", "<vpcId>vpc-0"}},
		{"an empty list", "ec2", "Action=DescribeNatGateways" + version, 200, []string{"<natGatewaySet></natGatewaySet>"}},
		{"no output", "ec2", "Action=DeleteTags&ResourceId.1=vpc-01234567890123456" + version, 400, []string{"<Response><Errors><Error><Code>"}},
		{"an error", "ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/8" + version, 400,
			[]string{"<Code>InvalidVpc.Range</Code>", "<Message>", "<RequestID>"}},
		{"a dry run", "ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true" + version, 412, []string{"<Code>DryRunOperation</Code>"}},
		{"an action that a lab lacks", "ec2", "Action=CreateFleet" + version, 400, []string{"<Code>UnsupportedOperation</Code>"}},
		{"an action that is none", "ec2", "Action=MakeCoffee" + version, 400, []string{"<Code>InvalidAction</Code>"}},
		{"who am I", "sts", "Action=GetCallerIdentity&Version=2011-06-15", 200,
			[]string{"<GetCallerIdentityResult>", "<Account>" + apitest.Account + "</Account>", "<Arn>arn:aws:iam::" + apitest.Account + ":root</Arn>"}},
		{"another action of STS", "sts", "Action=AssumeRole&Version=2011-06-15", 400, []string{"<ErrorResponse", "<Type>Sender</Type><Code>InvalidAction</Code>"}},
		{"another service", "s3", "Action=ListBuckets", 400, []string{"<Code>UnsupportedOperation</Code>", "s3"}},
		{"not a form", "ec2", "%zz", 400, []string{"<Code>MalformedQueryString</Code>"}},
	} {
		status, body := post(t, at, tt.service, tt.form, nil)
		if status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, body)
		}
		for _, w := range tt.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: no %q in %s", tt.name, w, body)
			}
		}
		if err := xml.Unmarshal([]byte(body), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s: %v in %s", tt.name, err, body)
		}
	}
}

// An answer without members says that the action succeeded.
func TestServer_AnswersReturn(t *testing.T) {
	b := apitest.New(t)
	at := b.Serve(t)
	_, made := post(t, at, "ec2", "Action=CreateInternetGateway"+version, nil)
	_, id, _ := strings.Cut(made, "<internetGatewayId>")
	id, _, _ = strings.Cut(id, "<")
	status, body := post(t, at, "ec2", "Action=DeleteInternetGateway&InternetGatewayId="+id+version, nil)
	if status != 200 || !strings.Contains(body, "<return>true</return>") {
		t.Errorf("%d %s", status, body)
	}
}

// A GET with the same in its query string is the same request.
func TestServer_Get(t *testing.T) {
	at := apitest.New(t).Serve(t)
	status, body := post(t, at+"/?Action=DescribeVpcs"+version, "ec2", "", func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0
		r.Header.Del("Content-Type")
	})
	if status != 200 || !strings.Contains(body, "<isDefault>true</isDefault>") {
		t.Errorf("%d %s", status, body)
	}
}

// What could come from a web page, or from who does not know what this is, is refused.
func TestServer_Refuses(t *testing.T) {
	at := apitest.New(t).Serve(t)
	const form = "Action=DescribeVpcs" + version
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"no signature":         {func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationToken"},
		"a password":           {func(r *http.Request) { r.SetBasicAuth("root", "root") }, 400, "IncompleteSignature"},
		"no scope":             {func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x") }, 400, "IncompleteSignature"},
		"half a signature":     {func(r *http.Request) { r.Header.Set("Authorization", strings.TrimSuffix(authorization("ec2"), "ef")) }, 400, "IncompleteSignature"},
		"no date":              {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 400, "IncompleteSignature"},
		"a web page":           {func(r *http.Request) { r.Header.Set("Origin", "https://example.org") }, 403, "UnauthorizedOperation"},
		"a local file's page":  {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "UnauthorizedOperation"},
		"a page's image":       {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "UnauthorizedOperation"},
		"a name led here":      {func(r *http.Request) { r.Host = "lab.example.org:4566" }, 403, "UnauthorizedOperation"},
		"a form of plain text": {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, "MalformedQueryString"},
		"another method":       {func(r *http.Request) { r.Method = http.MethodPut }, 400, "InvalidAction"},
	} {
		status, body := post(t, at, "ec2", form, tt.change)
		if status != tt.status || !strings.Contains(body, "<Code>"+tt.code+"</Code>") {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, tt.status, tt.code)
		}
	}
	for _, host := range []string{"localhost:4566", "127.0.0.1", "[::1]:4566", "ec2.us-east-1.localhost:4566"} {
		if status, body := post(t, at, "ec2", form, func(r *http.Request) { r.Host = host }); status != 200 {
			t.Errorf("Host %s: %d %s", host, status, body)
		}
	}
}

// A link or an image of a web page bears no Origin header in older browsers, but all of the query string.
func TestServer_RefusesSignaturesThatNobodyChecks(t *testing.T) {
	q := url.Values{"Action": {"RunInstances"}, "Version": {"2016-11-15"}, "MinCount": {"1"}, "MaxCount": {"1"}, "ImageId": {"ami-12345678"},
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"any/20261128/us-east-1/ec2/aws4_request"}, "X-Amz-Date": {"20261128T120000Z"},
		"X-Amz-Expires": {"60"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {strings.Repeat("0", 64)}}
	resp, err := http.Get(apitest.New(t).Serve(t) + "/?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 || !strings.Contains(string(body), "<Code>MissingAuthenticationToken</Code>") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// Clients of services that speak JSON can read why they are refused.
func TestServer_RefusesInTheClientsLanguage(t *testing.T) {
	status, body := post(t, apitest.New(t).Serve(t), "ssm", "{}", func(r *http.Request) {
		r.Header.Set("X-Amz-Target", "AmazonSSM.ListCommands")
		r.Header.Del("Authorization")
	})
	if status != 403 || !strings.HasPrefix(body, `{"__type":"MissingAuthenticationToken","message":`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestServer_BodyTooLarge(t *testing.T) {
	at := apitest.New(t).Serve(t)
	status, body := post(t, at, "ec2", "Action=DescribeVpcs"+version+"&X="+strings.Repeat("x", 2<<20), nil)
	if status != 400 || !strings.Contains(body, "MalformedQueryString") {
		t.Errorf("%d %.300s", status, body)
	}
}

// A client that sends all of a large body before it reads gets its answer, and can go on.
func TestServer_BodyFarTooLarge(t *testing.T) {
	at := apitest.New(t).Serve(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, tt := range []struct {
		body   string
		status int
	}{{"Action=DescribeVpcs" + version + "&X=" + strings.Repeat("x", 10<<20), 400}, {"Action=DescribeVpcs" + version, 200}} {
		r, err := http.NewRequest(http.MethodPost, at, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization("ec2"))
		r.Header.Set("X-Amz-Date", "20261128T120000Z")
		if err := r.Write(conn); err != nil {
			t.Fatalf("%d bytes: %v", len(tt.body), err)
		}
		resp, err := http.ReadResponse(answers, r)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(tt.body), err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != tt.status {
			t.Errorf("%d bytes: %d, %v", len(tt.body), resp.StatusCode, err)
		}
	}
}

// A presigned request may be a POST: its parameters are in the query string, and it has no body whose
// type could be told.
func TestServer_PostWithoutBody(t *testing.T) {
	status, body := post(t, apitest.New(t).Serve(t)+"/?Action=DescribeVpcs"+version, "ec2", "", func(r *http.Request) { r.Header.Del("Content-Type") })
	if status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// Clients of a service that a lab has not can read so, whichever protocol they speak.
func TestServer_ServicesThatAreNotThere(t *testing.T) {
	at := apitest.New(t).Serve(t)
	const why = "vpcemu does not have the service "
	kind := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del("Content-Type"); r.Header.Set(name, value) }
	}
	for service, tt := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"iam":        {nil, "<Code>UnsupportedOperation</Code><Message>" + why + "iam"},
		"s3":         {kind("Accept", "*/*"), "<Code>UnsupportedOperation</Code><Message>" + why + "s3"},
		"dynamodb":   {kind("X-Amz-Target", "DynamoDB_20120810.ListTables"), `{"__type":"UnsupportedOperation","message":"` + why + "dynamodb"},
		"lambda":     {kind("Accept", "*/*"), `{"__type":"UnsupportedOperation","message":"` + why + "lambda"},
		"monitoring": {kind("Smithy-Protocol", "rpc-v2-cbor"), "\xa2\x79\x00\x06__type\x79\x00\x14UnsupportedOperation\x79\x00\x07message\x79\x00\x45" + why + "monitoring"},
	} {
		status, body := post(t, at, service, "", tt.change)
		if status != 400 || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %q, want %q", service, status, body, tt.want)
		}
	}
}

// broken is a Backend that fails as none should.
type broken struct{ do func() (any, error) }

func (b broken) Do(context.Context, string, string, any) (any, error) { return b.do() }
func (broken) Account() string                                        { return apitest.Account }

func TestServer_FailuresOfOurs(t *testing.T) {
	for name, do := range map[string]func() (any, error){
		"an error": func() (any, error) { return nil, errors.New("disk full <&>") },
		"a panic":  func() (any, error) { panic("nothing to see") },
	} {
		s := httptest.NewServer(ec2api.New(ec2api.Config{Backend: broken{do}, Auth: &ec2api.Signatures{Now: time.Now}}))
		status, body := post(t, s.URL, "ec2", "Action=DescribeVpcs"+version, nil)
		if status != 500 || !strings.Contains(body, "<Code>InternalError</Code>") || strings.Contains(body, "nothing to see") {
			t.Errorf("%s: %d %s", name, status, body)
		}
		s.Close()
	}
}

// What an instance or a user put into a value leaves the answer well-formed.
func TestServer_OddCharacters(t *testing.T) {
	at := apitest.New(t).Serve(t)
	for _, value := range []string{"<&>\"'", "tab\tnewline\n", "nul\x00bell\x07", "\xff\xfe", "é 漢 \U0001F600", "\uFFFE", "]]>"} {
		form := "Action=CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=" + url.QueryEscape(value) + version
		status, body := post(t, at, "ec2", form, nil)
		var got struct {
			Value string `xml:"vpc>tagSet>item>value"`
		}
		if err := xml.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%q: %v", value, err)
		}
		if status == 200 && utf8.ValidString(value) && !strings.ContainsAny(value, "\x00\x07\uFFFE") && got.Value != value {
			t.Errorf("%q came back as %q", value, got.Value)
		}
		post(t, at, "ec2", "Action=DeleteVpc&VpcId="+between(body, "<vpcId>", "<")+version, nil)
	}
}

func between(s, open, end string) string {
	_, s, _ = strings.Cut(s, open)
	s, _, _ = strings.Cut(s, end)
	return s
}

// Services get the request as it came, and who sent it.
func TestServer_OtherServices(t *testing.T) {
	var caller ec2api.Caller
	var body []byte
	s := httptest.NewServer(ec2api.New(ec2api.Config{Backend: apitest.New(t), Auth: &ec2api.Signatures{Now: time.Now},
		Services: map[string]http.Handler{"ssm": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			caller = ec2api.CallerOf(r.Context())
			body, _ = io.ReadAll(r.Body)
		})}}))
	defer s.Close()
	if status, _ := post(t, s.URL, "ssm", "{}", nil); status != 200 {
		t.Error(status)
	}
	if caller != (ec2api.Caller{AccessKey: "any", Region: "us-east-1", Service: "ssm"}) || string(body) != "{}" {
		t.Errorf("%+v %q", caller, body)
	}
}

var _ ec2api.Backend = (*apitest.Backend)(nil)

// BenchmarkDescribe is the cost of a description of 1,000 objects, over the socket. p99 is what
// one client sees.
func BenchmarkDescribe(b *testing.B) {
	b.Run("groups", func(b *testing.B) {
		backend := apitest.New(b)
		vpcID := must(backend.Do(b.Context(), "", "DescribeVpcs", &vpc.DescribeVpcsInput{})).(*vpc.DescribeVpcsOutput).Vpcs[0].VpcId
		for range 1000 {
			must(backend.Do(b.Context(), "", "CreateSecurityGroup", &vpc.CreateSecurityGroupInput{GroupName: vpc.RandomID("g"), Description: "d", VpcId: vpcID}))
		}
		benchmark(b, backend, "DescribeSecurityGroups")
	})
	// Encoding alone: what the model does for it is measured in package vpc.
	b.Run("instances", func(b *testing.B) {
		backend := apitest.New(b)
		must(backend.Do(b.Context(), "", "RunInstances", &vpc.RunInstancesInput{ImageId: "ami-0123456789abcdef0", MinCount: new(1), MaxCount: new(1)}))
		out := must(backend.Do(b.Context(), "", "DescribeInstances", &vpc.DescribeInstancesInput{})).(*vpc.DescribeInstancesOutput)
		out.Reservations = slices.Repeat(out.Reservations, 1000)
		benchmark(b, broken{func() (any, error) { return out, nil }}, "DescribeInstances")
	})
}

func benchmark(b *testing.B, backend ec2api.Backend, action string) {
	s := httptest.NewServer(ec2api.New(ec2api.Config{Backend: backend}))
	defer s.Close()
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		r, _ := http.NewRequest(http.MethodPost, s.URL, strings.NewReader("Action="+action+version))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization("ec2"))
		r.Header.Set("X-Amz-Date", "20261128T120000Z")
		start := time.Now()
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(err, resp)
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		took = append(took, time.Since(start))
		b.SetBytes(n)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func must(v any, err error) any {
	if err != nil {
		panic(err)
	}
	return v
}
