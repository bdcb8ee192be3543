package dataplane

import (
	"strings"
	"testing"
)

// The codes of the Reachability Analyzer that may be claimed as such (RA-04).
const analyzerCodes = `BAD_STATE BAD_STATE_ATTACHMENT BAD_STATE_ROUTE CANNOT_ROUTE ENI_ADDRESS_RESTRICTION
ENI_SG_RULES_MISMATCH ENI_SOURCE_DEST_CHECK_RESTRICTION GATEWAY_REJECTS_SPOOFED_TRAFFIC
IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS
IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS IGW_NAT_REFLECTION IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS
IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS
IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS INGRESS_RTB_NO_PUBLIC_IP INGRESS_RTB_TRAFFIC_REDIRECTION
NGW_REQUIRES_SOURCE_IN_VPC NO_POSSIBLE_DESTINATION NO_ROUTE_TO_DESTINATION PROTOCOL_RESTRICTION
SG_HAS_NO_RULES SG_REFERENCES_NOT_PRESERVED SUBNET_ACL_RESTRICTION VPC_LOCAL_ROUTE_CIDR_RESTRICTION`

func TestRA04_ReasonsHaveNamesTextsAndTrueCodes(t *testing.T) {
	known := make(map[string]bool)
	for _, c := range strings.Fields(analyzerCodes) {
		known[c] = true
	}
	names := make(map[string]bool)
	for _, r := range Reasons() {
		if r.Name() == "" || r.Text() == "" {
			t.Errorf("reason %d has no name or text", r)
		}
		if names[r.Name()] {
			t.Errorf("%s: name used twice", r.Name())
		}
		names[r.Name()] = true
		if (r.Code() != "") != known[r.Name()] {
			t.Errorf("%s: code %q, known to AWS %t", r.Name(), r.Code(), known[r.Name()])
		}
		if strings.HasSuffix(r.Text(), ".") {
			t.Errorf("%s: text ends with a full stop", r.Name())
		}
	}
	if DHCPServed.Dropped() || Delivered.Dropped() || !ForwardingLoop.Dropped() || !PortWriteFailed.Dropped() {
		t.Error("Dropped is wrong about where drops begin")
	}
	if s := Reason(250); s.Name() != "UNKNOWN" || s.Code() != "" || s.Text() == "" {
		t.Error("an unknown reason has no text")
	}
}

func TestStagesHaveNames(t *testing.T) {
	for s := StageFrame; s <= StageCommit; s++ {
		if stageNames[s] == "" {
			t.Errorf("stage %d has no name", s)
		}
	}
}
