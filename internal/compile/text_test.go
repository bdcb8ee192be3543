package compile

import (
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/packet"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func replace(s, old, new string) string { return strings.ReplaceAll(s, old, new) }

// flatten turns lines "type.name: object" into YAML's nested maps.
func flatten(text string) string {
	byType := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if kind, rest, ok := strings.Cut(line, "."); ok {
			byType[kind] = append(byType[kind], "  "+rest)
		}
	}
	var kinds, out []string
	for kind := range byType {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		out = append(append(out, kind+":"), byType[kind]...)
	}
	return strings.Join(out, "\n")
}

// discover is the packet of a DHCPDISCOVER.
func discover() []byte {
	m, err := dhcpv4.NewDiscovery([]byte{2, 0, 0, 0, 0, 1})
	if err != nil {
		panic(err)
	}
	payload := m.ToBytes()
	t := packet.Tuple{Src: pt.Addr("0.0.0.0"), Dst: pt.Addr("255.255.255.255"), SrcPort: 68, DstPort: 67, Proto: packet.ProtoUDP}
	return packet.BuildUDP(make([]byte, 128+len(payload)), t, 64, payload)
}
