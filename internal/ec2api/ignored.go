package ec2api

import "strings"

// ignoredParameters are those that a lab takes and does nothing about, by their names in AWS's
// model. What they are about is not in a lab (billing, hardware), or changes nothing there, and
// software that sets them means no harm to the network. A name stands for all below it. "*" is
// every action.
var ignoredParameters = map[string][]string{
	"*":                      {"IncludeManagedResources"}, // there are none
	"AttachNetworkInterface": {"EnaSrdSpecification", "EnaQueueCount"},
	"DescribeImages":         {"IncludeDeprecated", "IncludeDisabled"},
	"DescribeInstanceTypes":  {"IncludeUnsupportedInRegion"},
	// Whatever is asked for, there are no such objects.
	"DescribeNetworkInsightsAnalyses": {"AnalysisStartTime", "AnalysisEndTime"},
	"DescribeSnapshots":               {"OwnerIds", "RestorableByUserIds"},
	"DescribeVpcEndpointServices":     {"ServiceRegions"},
	"RunInstances": {
		"BlockDeviceMappings.Ebs.AvailabilityZone", "BlockDeviceMappings.Ebs.AvailabilityZoneId",
		"BlockDeviceMappings.Ebs.EbsCardIndex", "BlockDeviceMappings.Ebs.VolumeInitializationRate",
		"CpuOptions.AmdSevSnp", "CpuOptions.NestedVirtualization", "InstanceMarketOptions",
		"LicenseSpecifications", "NetworkInterfaces.EnaQueueCount", "NetworkInterfaces.EnaSrdSpecification",
		"NetworkInterfaces.NetworkCardIndex", "NetworkPerformanceOptions",
		"Placement.Affinity", "Placement.GroupId", "Placement.PartitionNumber", "Placement.SpreadDomain",
	},
	"TerminateInstances": {"Force", "SkipOsShutdown"},
}

// ignored tells whether a parameter of an action is among them.
func ignored(action, member string) bool {
	for _, of := range []string{"*", action} {
		for _, name := range ignoredParameters[of] {
			if member == name || strings.HasPrefix(member, name+".") {
				return true
			}
		}
	}
	return false
}
