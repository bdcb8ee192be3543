package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a client of the API does. The rate is that of a large `terraform apply` beside dashboards and scripts.
const (
	apiClients = 16
	apiRate    = 400 // calls a second, all clients together
	// changesOf is how many calls of a hundred change something.
	changesOf = 20
)

// apiClient calls the API. Its requests are as the SDKs', but for the signature, which is well-formed and not a true one: the time
// that is measured is to be the server's.
type apiClient struct {
	url    string
	client *http.Client
}

func newAPIClient(url string) *apiClient {
	return &apiClient{url, &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * apiClients}}}
}

// params are those of a call, name and value in turn.
type params []string

func (c *apiClient) call(ctx context.Context, action string, p params) (string, error) {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i+1 < len(p); i += 2 {
		form.Set(p[i], p[i+1])
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/"+now.Format("20060102")+"/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	answer, err := c.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", action, answer.Status, text)
	}
	return string(text), err
}

// account is a large one, and who calls for it.
type account struct {
	*apiClient
	vpc                                          string
	subnets, tables, acls, groups, nics, objects []string
}

// How much of each an account has, 1,000 in all.
const (
	accountSubnets = 100
	accountTables  = 100
	accountACLs    = 100
	accountGroups  = 400
	accountNICs    = 300
)

var anID = regexp.MustCompile(`>((?:vpc|subnet|rtb|acl|sg|eni)-[0-9a-f]{17})<`)

// fillAccount makes the objects, several at once, as Terraform does.
func fillAccount(c *apiClient) (*account, error) {
	a := &account{apiClient: c}
	text, err := c.call(context.Background(), "DescribeVpcs", nil)
	if err != nil {
		return nil, err
	}
	found := anID.FindStringSubmatch(text)
	if found == nil {
		return nil, errors.New("there is no VPC")
	}
	a.vpc = found[1]
	err = errors.Join(
		a.fill(&a.subnets, "CreateSubnet", "subnet-", accountSubnets, func(n int) params {
			return params{"CidrBlock", fmt.Sprintf("10.0.%d.0/24", 16+n), "VpcId", a.vpc}
		}),
		a.fill(&a.tables, "CreateRouteTable", "rtb-", accountTables, func(int) params { return params{"VpcId", a.vpc} }),
		a.fill(&a.acls, "CreateNetworkAcl", "acl-", accountACLs, func(int) params { return params{"VpcId", a.vpc} }),
		a.fill(&a.groups, "CreateSecurityGroup", "sg-", accountGroups, func(n int) params {
			return params{"VpcId", a.vpc, "GroupName", fmt.Sprintf("group-%d", n), "GroupDescription", "one of many"}
		}),
	)
	if err != nil {
		return nil, err
	}
	err = a.fill(&a.nics, "CreateNetworkInterface", "eni-", accountNICs, func(n int) params {
		return params{"SubnetId", a.subnets[n%accountSubnets], "SecurityGroupId.1", a.groups[n], "SecurityGroupId.2", a.groups[n+1]}
	})
	a.objects = slices.Concat(a.subnets, a.tables, a.acls, a.groups, a.nics)
	return a, err
}

// fill makes n objects of one type and notes their IDs.
func (a *account) fill(ids *[]string, action, prefix string, n int, p func(int) params) error {
	errs := make([]error, n)
	*ids = make([]string, n)
	var all sync.WaitGroup
	places := make(chan struct{}, apiClients)
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			text, err := a.call(context.Background(), action, p(i))
			for _, found := range anID.FindAllStringSubmatch(text, -1) {
				if (*ids)[i] == "" && strings.HasPrefix(found[1], prefix) {
					(*ids)[i] = found[1]
				}
			}
			if err == nil && (*ids)[i] == "" {
				err = fmt.Errorf("%s: no ID in %s", action, text)
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// loadResult is what the calls took, in milliseconds. Each is measured from the moment at which it was to begin, so that what waits
// for another counts.
type loadResult struct {
	reads, changes []float64
	rate           float64
}

// load is calls that go on.
type load struct {
	stop    context.CancelFunc
	began   time.Time
	workers sync.WaitGroup
	each    [apiClients]loadResult
	errs    [apiClients]error
}

// startLoad calls until the load is ended.
func startLoad(a *account) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop, began: time.Now()}
	for n := range apiClients {
		l.workers.Go(func() { l.errs[n] = l.work(ctx, a, n) })
	}
	return l
}

// end waits for the last calls.
func (l *load) end() (all loadResult, err error) {
	l.stop()
	l.workers.Wait()
	passed := time.Since(l.began)
	for _, r := range l.each {
		all.reads, all.changes = append(all.reads, r.reads...), append(all.changes, r.changes...)
	}
	slices.Sort(all.reads)
	slices.Sort(all.changes)
	all.rate = float64(len(all.reads)+len(all.changes)) / passed.Seconds()
	if err := errors.Join(l.errs[:]...); err != nil {
		return all, err
	}
	if len(all.reads) == 0 || len(all.changes) == 0 {
		return all, errors.New("no call was made")
	}
	return all, nil
}

// work is one client: it calls at its times, and as soon as it can where it is late.
func (l *load) work(ctx context.Context, a *account, n int) error {
	const every = apiClients * time.Second / apiRate
	random := rand.New(rand.NewPCG(uint64(n), 1))
	next := l.began.Add(time.Duration(n) * every / apiClients)
	group, open := a.groups[n], false // whose rule this client adds and takes away
	for {
		select {
		case <-ctx.Done():
			if open {
				return a.change(random, group, &open)
			}
			return nil
		case <-time.After(time.Until(next)):
		}
		var err error
		changes := random.IntN(100) < changesOf
		if changes {
			err = a.change(random, group, &open)
		} else {
			err = a.read(random)
		}
		if err != nil {
			return err
		}
		took := float64(time.Since(next)) / 1e6
		if changes {
			l.each[n].changes = append(l.each[n].changes, took)
		} else {
			l.each[n].reads = append(l.each[n].reads, took)
		}
		next = next.Add(every)
	}
}

func pick(random *rand.Rand, ids []string) string { return ids[random.IntN(len(ids))] }

// read asks for one object or those of a filter, and one time in ten for all of a type.
func (a *account) read(random *rand.Rand) error {
	var err error
	switch random.IntN(20) {
	case 0:
		_, err = a.call(context.Background(), "DescribeSecurityGroups", nil)
	case 1:
		_, err = a.call(context.Background(), "DescribeNetworkInterfaces", nil)
	case 2, 3, 4:
		_, err = a.call(context.Background(), "DescribeInstances", nil)
	case 5, 6, 7:
		_, err = a.call(context.Background(), "DescribeNetworkInterfaces", params{"Filter.1.Name", "subnet-id", "Filter.1.Value.1", pick(random, a.subnets)})
	case 8, 9, 10:
		_, err = a.call(context.Background(), "DescribeSubnets", params{"SubnetId.1", pick(random, a.subnets)})
	case 11, 12, 13:
		_, err = a.call(context.Background(), "DescribeRouteTables", params{"RouteTableId.1", pick(random, a.tables)})
	case 14, 15:
		_, err = a.call(context.Background(), "DescribeTags", params{"Filter.1.Name", "resource-id", "Filter.1.Value.1", pick(random, a.objects)})
	default:
		_, err = a.call(context.Background(), "DescribeSecurityGroups", params{"GroupId.1", pick(random, a.groups)})
	}
	return err
}

// change tags an object, or adds a rule or takes it away.
func (a *account) change(random *rand.Rand, group string, open *bool) error {
	if random.IntN(2) == 0 && !*open {
		_, err := a.call(context.Background(), "CreateTags", params{"ResourceId.1", pick(random, a.objects), "Tag.1.Key", "touched", "Tag.1.Value", time.Now().String()})
		return err
	}
	action := "AuthorizeSecurityGroupIngress"
	if *open {
		action = "RevokeSecurityGroupIngress"
	}
	_, err := a.call(context.Background(), action, params{"GroupId", group, "IpPermissions.1.IpProtocol", "tcp", "IpPermissions.1.FromPort", "443", "IpPermissions.1.ToPort", "443",
		"IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"})
	*open = *open != (err == nil)
	return err
}

// percentile of sorted values.
func percentile(sorted []float64, p float64) float64 {
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
