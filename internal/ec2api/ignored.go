package ec2api

import "strings"

// ignoredParameters are those that a lab takes and does nothing about, by their names in AWS's
// model: what they are about (disks, billing, hardware) is not in a lab, and software that
// sets them means no harm to the network. A name stands for all below it. "*" is
// every action.
var ignoredParameters = map[string][]string{
	"RunInstances": {
		"CpuOptions", "HibernationOptions",
		"EnclaveOptions", "MaintenanceOptions", "InstanceMarketOptions", "CapacityReservationSpecification",
		"LicenseSpecifications", "NetworkPerformanceOptions", "Placement.GroupName",
	},
}

// ignored tells whether a parameter of an action is among them.
func ignored(action, member string) bool {
	for _, name := range ignoredParameters[action] {
		if member == name || strings.HasPrefix(member, name+".") {
			return true
		}
	}
	return false
}
