package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// A hundred instances ask at once, over UDP and TCP, for one another's names and for names
// that nobody has. All are answered, and the daemon has no more open files afterwards.
func TestDNSUnderLoad(t *testing.T) {
	const instances, questions = 100, 50
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16, enable_dns_hostnames: true}
subnets:
  all: {vpc: book, cidr_block: 172.30.0.0/24}
`)
	out := l.ec2(fmt.Sprintf("run-instances --wait --subnet-id all --count %d", instances))
	var ids, names []string
	for i := range instances {
		ids = append(ids, get(t, out, "Instances", i, "InstanceId"))
		names = append(names, get(t, out, "Instances", i, "PrivateDnsName"))
	}
	daemons, _ := l.processes()
	equal(t, "daemons", len(daemons), 1)
	files := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", daemons[0]))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := files()
	for _, how := range []string{"+notcp", "+tcp"} {
		var wg sync.WaitGroup
		for i, id := range ids {
			var batch strings.Builder
			for q := range questions {
				fmt.Fprintf(&batch, "%s\nnobody-%d.example\n", names[(i+q)%instances], q)
			}
			wg.Go(func() {
				out, errs, status := l.try(batch.String(), "exec", id, "--", "dig", "-f", "-", "+short", "+tries=1", "+time=30", how)
				if n := strings.Count(out, "172.30.0."); status != 0 || n != questions {
					t.Errorf("%s, %s: %d of %d names, exit status %d\n%s", id, how, n, questions, status, errs)
				}
			})
		}
		wg.Wait()
	}
	eventually(t, "connections end", func() error {
		if n := files(); n > before {
			return fmt.Errorf("%d open files, before the load %d", n, before)
		}
		return nil
	})
}
