package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

const bulkLab = `version: 1
name: bulk
region: ap-northeast-1
vpcs: {v: {cidr_block: 10.0.0.0/16}}
subnets:
  one: {vpc: v, cidr_block: 10.0.1.0/24, availability_zone: ap-northeast-1a}
  two: {vpc: v, cidr_block: 10.0.2.0/24, availability_zone: ap-northeast-1a}
security_groups:
  open: {vpc: v, ingress: [{protocol: "-1", cidr_blocks: [10.0.0.0/16]}], egress: [{protocol: "-1", cidr_blocks: [10.0.0.0/16]}]}
instances:
  tun: {subnet: one, security_groups: [open]}
  tap: {subnet: one, security_groups: [open], link_type: tap}
  far: {subnet: two, security_groups: [open]}
  fartap: {subnet: two, security_groups: [open], link_type: tap}
`

func (l *lab) counters() (n control.Counters) {
	l.t.Helper()
	if err := json.Unmarshal([]byte(l.cli("counters", "-o", "json")), &n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// What TCP sends in bulk crosses in super-packets, whatever the links at the two ends are,
// and arrives as it was sent; packets are counted as they are on the wire.
func TestBulk_CrossesInSuperPackets(t *testing.T) {
	t.Parallel()
	l := up(t, bulkLab)
	const size = 30_000_000
	sum := strings.Fields(l.in("tun", fmt.Sprintf("head -c %d /dev/urandom >/root/data && sha256sum /root/data", size)))[0]
	for i, way := range [][2]string{{"tun", "far"}, {"far", "tap"}, {"tap", "fartap"}, {"fartap", "tun"}} {
		from, to := way[0], way[1]
		port := 5000 + i
		l.start(to, fmt.Sprintf("exec socat -b 262144 -u TCP-LISTEN:%d OPEN:/root/data.new,creat,trunc", port))
		l.waitPort(to, "tcp", port)
		before := l.counters()
		l.in(from, fmt.Sprintf("socat -b 262144 -u OPEN:/root/data TCP:%s:%d", l.privateOf(to), port))
		eventually(t, "the data is at "+to, func() error {
			got, _, _ := l.tryIn(to, "sha256sum /root/data.new")
			if !strings.HasPrefix(got, sum) {
				return fmt.Errorf("from %s: sha256 %s, want %s", from, got, sum)
			}
			return nil
		})
		l.in(to, "mv /root/data.new /root/data")
		after := l.counters()
		packets, reads := after.Verdicts["DELIVERED"]-before.Verdicts["DELIVERED"], after.Reads-before.Reads
		// MSS 8949 with timestamps: at least so many segments, and their acknowledgements.
		if least := uint64(size / 8961); packets < least || reads > packets*3/4 {
			t.Errorf("%s to %s: %d packets in %d reads, want at least %d in far fewer", from, to, packets, reads, least)
		}
		if hits := after.FlowCache.Hits - before.FlowCache.Hits; hits < packets*9/10 {
			t.Errorf("%s to %s: %d of %d packets went by the flow cache", from, to, hits, packets)
		}
	}
}
