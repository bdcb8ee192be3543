package ec2client

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const someImage = "ami-01234567890abcdef"

// defaultSubnet is the first one of the Region.
func defaultSubnet(t *testing.T, c *ec2.Client) types.Subnet {
	t.Helper()
	return do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("default-for-az", "true")}).Subnets[0]
}

func launch(t *testing.T, c *ec2.Client, change func(*ec2.RunInstancesInput)) types.Instance {
	t.Helper()
	in := &ec2.RunInstancesInput{ImageId: new(someImage), InstanceType: types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: defaultSubnet(t, c).SubnetId}
	if change != nil {
		change(in)
	}
	i := do(t, c.RunInstances, in).Instances[0]
	same(t, "state", i.State.Name, types.InstanceStateNamePending)
	return i
}

func terminate(t *testing.T, c *ec2.Client, ids ...string) {
	t.Helper()
	for _, change := range do(t, c.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: ids}).TerminatingInstances {
		same(t, "state", change.CurrentState.Name, types.InstanceStateNameShuttingDown)
	}
	await(t, ec2.NewInstanceTerminatedWaiter(c).Wait, &ec2.DescribeInstancesInput{InstanceIds: ids})
}

func lifeOfInstance(t *testing.T, c *ec2.Client) {
	i := launch(t, c, func(in *ec2.RunInstancesInput) { in.TagSpecifications = named(types.ResourceTypeInstance, "web") })
	id := []string{*i.InstanceId}
	await(t, ec2.NewInstanceExistsWaiter(c).Wait, &ec2.DescribeInstancesInput{InstanceIds: id})
	await(t, ec2.NewInstanceRunningWaiter(c).Wait, &ec2.DescribeInstancesInput{InstanceIds: id})
	await(t, ec2.NewInstanceStatusOkWaiter(c).Wait, &ec2.DescribeInstanceStatusInput{InstanceIds: id})
	await(t, ec2.NewSystemStatusOkWaiter(c).Wait, &ec2.DescribeInstanceStatusInput{InstanceIds: id})
	got := do(t, c.DescribeInstances, &ec2.DescribeInstancesInput{Filters: filter("tag:Name", "web")}).Reservations[0].Instances[0]
	same(t, "image", *got.ImageId, someImage)
	if got.PublicIpAddress == nil || got.PrivateIpAddress == nil || len(got.NetworkInterfaces) != 1 || len(got.SecurityGroups) != 1 {
		t.Errorf("%+v", got)
	}
	console := do(t, c.GetConsoleOutput, &ec2.GetConsoleOutputInput{InstanceId: i.InstanceId})
	text, err := base64.StdEncoding.DecodeString(*console.Output)
	same(t, "console", []any{string(text), err}, []any{"console\n", nil})

	do(t, c.RebootInstances, &ec2.RebootInstancesInput{InstanceIds: id})
	refused(t, c.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, InstanceType: &types.AttributeValue{Value: new("t3.small")}}, "IncorrectInstanceState")
	stopping := do(t, c.StopInstances, &ec2.StopInstancesInput{InstanceIds: id}).StoppingInstances[0]
	same(t, "states", []any{stopping.PreviousState.Name, stopping.CurrentState.Name}, []any{types.InstanceStateNameRunning, types.InstanceStateNameStopping})
	await(t, ec2.NewInstanceStoppedWaiter(c).Wait, &ec2.DescribeInstancesInput{InstanceIds: id})
	do(t, c.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, InstanceType: &types.AttributeValue{Value: new("t3.small")}})
	do(t, c.ModifyPrivateDnsNameOptions, &ec2.ModifyPrivateDnsNameOptionsInput{InstanceId: i.InstanceId, PrivateDnsHostnameType: types.HostnameTypeResourceName})
	do(t, c.StartInstances, &ec2.StartInstancesInput{InstanceIds: id})
	await(t, ec2.NewInstanceRunningWaiter(c).Wait, &ec2.DescribeInstancesInput{InstanceIds: id})
	got = do(t, c.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: id}).Reservations[0].Instances[0]
	same(t, "type", got.InstanceType, types.InstanceTypeT3Small)
	if !strings.HasPrefix(*got.PrivateDnsName, id[0]+".") {
		t.Errorf("name %s", *got.PrivateDnsName)
	}
	terminate(t, c, id...)
	refused(t, c.StartInstances, &ec2.StartInstancesInput{InstanceIds: id}, "IncorrectInstanceState")
	refused(t, c.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-01234567890abcdef"}}, "InvalidInstanceID.NotFound")
}

func lifeOfInstanceSettings(t *testing.T, c *ec2.Client) {
	data := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))
	i := launch(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData, in.DisableApiTermination, in.ClientToken = new(data), new(true), new("token-1")
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: new("app")}
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired}
	})
	again := launch(t, c, func(in *ec2.RunInstancesInput) {
		in.UserData, in.DisableApiTermination, in.ClientToken = new(data), new(true), new("token-1")
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: new("app")}
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired}
	})
	same(t, "with the same token", *again.InstanceId, *i.InstanceId)
	id := []string{*i.InstanceId}
	attribute := func(name types.InstanceAttributeName) *ec2.DescribeInstanceAttributeOutput {
		return do(t, c.DescribeInstanceAttribute, &ec2.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: name})
	}
	same(t, "user data", *attribute(types.InstanceAttributeNameUserData).UserData.Value, data)
	same(t, "protected", *attribute(types.InstanceAttributeNameDisableApiTermination).DisableApiTermination.Value, true)
	same(t, "stop", *attribute(types.InstanceAttributeNameInstanceInitiatedShutdownBehavior).InstanceInitiatedShutdownBehavior.Value, "stop")
	refused(t, c.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: id}, "OperationNotPermitted")
	do(t, c.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, DisableApiTermination: &types.AttributeBooleanValue{Value: new(false)}})

	options := do(t, c.ModifyInstanceMetadataOptions, &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: i.InstanceId, HttpPutResponseHopLimit: new(int32(2))}).InstanceMetadataOptions
	same(t, "metadata", []any{options.HttpTokens, *options.HttpPutResponseHopLimit}, []any{types.HttpTokensStateRequired, int32(2)})
	do(t, c.ModifyInstanceMetadataDefaults, &ec2.ModifyInstanceMetadataDefaultsInput{HttpTokens: types.MetadataDefaultHttpTokensStateRequired})
	same(t, "default", do(t, c.GetInstanceMetadataDefaults, &ec2.GetInstanceMetadataDefaultsInput{}).AccountLevel.HttpTokens, types.HttpTokensStateRequired)
	do(t, c.ModifyInstanceMetadataDefaults, &ec2.ModifyInstanceMetadataDefaultsInput{HttpTokens: types.MetadataDefaultHttpTokensStateNoPreference})

	same(t, "monitoring", do(t, c.MonitorInstances, &ec2.MonitorInstancesInput{InstanceIds: id}).InstanceMonitorings[0].Monitoring.State, types.MonitoringStateEnabled)
	same(t, "monitoring", do(t, c.UnmonitorInstances, &ec2.UnmonitorInstancesInput{InstanceIds: id}).InstanceMonitorings[0].Monitoring.State, types.MonitoringStateDisabled)
	do(t, c.ModifyInstanceCreditSpecification, &ec2.ModifyInstanceCreditSpecificationInput{InstanceCreditSpecifications: []types.InstanceCreditSpecificationRequest{{InstanceId: i.InstanceId, CpuCredits: new("standard")}}})
	same(t, "credits", *do(t, c.DescribeInstanceCreditSpecifications, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: id}).InstanceCreditSpecifications[0].CpuCredits, "standard")
	same(t, "recovery", do(t, c.ModifyInstanceMaintenanceOptions, &ec2.ModifyInstanceMaintenanceOptionsInput{InstanceId: i.InstanceId, AutoRecovery: types.InstanceAutoRecoveryStateDisabled}).AutoRecovery, types.InstanceAutoRecoveryStateDisabled)
	do(t, c.ModifyInstanceCapacityReservationAttributes, &ec2.ModifyInstanceCapacityReservationAttributesInput{InstanceId: i.InstanceId,
		CapacityReservationSpecification: &types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceNone}})
	now := do(t, c.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: id}).Reservations[0].Instances[0]
	same(t, "hardware", []any{now.MaintenanceOptions.AutoRecovery, now.CapacityReservationSpecification.CapacityReservationPreference, *now.EnclaveOptions.Enabled, *now.CpuOptions.CoreCount},
		[]any{types.InstanceAutoRecoveryStateDisabled, types.CapacityReservationPreferenceNone, false, int32(1)})
	profiles := do(t, c.DescribeIamInstanceProfileAssociations, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: filter("instance-id", id[0])}).IamInstanceProfileAssociations
	same(t, "profile", *profiles[0].IamInstanceProfile.Arn, "arn:aws:iam::123456789012:instance-profile/app")
	other := &types.IamInstanceProfileSpecification{Arn: new("arn:aws:iam::123456789012:instance-profile/path/other")}
	replaced := do(t, c.ReplaceIamInstanceProfileAssociation, &ec2.ReplaceIamInstanceProfileAssociationInput{AssociationId: profiles[0].AssociationId, IamInstanceProfile: other}).IamInstanceProfileAssociation
	same(t, "replaced profile", []any{*replaced.IamInstanceProfile.Arn, replaced.State, *replaced.AssociationId == *profiles[0].AssociationId}, []any{*other.Arn, types.IamInstanceProfileAssociationStateAssociating, false})
	same(t, "taken profile", do(t, c.DisassociateIamInstanceProfile, &ec2.DisassociateIamInstanceProfileInput{AssociationId: replaced.AssociationId}).IamInstanceProfileAssociation.State, types.IamInstanceProfileAssociationStateDisassociating)
	same(t, "profile", *do(t, c.AssociateIamInstanceProfile, &ec2.AssociateIamInstanceProfileInput{InstanceId: i.InstanceId, IamInstanceProfile: &types.IamInstanceProfileSpecification{Name: new("again")}}).IamInstanceProfileAssociation.IamInstanceProfile.Arn, "arn:aws:iam::123456789012:instance-profile/again")
	terminate(t, c, id...)
}

func lifeOfVolumes(t *testing.T, c *ec2.Client) {
	i := launch(t, c, func(in *ec2.RunInstancesInput) {
		in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: new(int32(20)), VolumeType: types.VolumeTypeGp3, DeleteOnTermination: new(false)}}}
	})
	list := do(t, c.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: append(filter("attachment.instance-id", *i.InstanceId), filter("attachment.device", "/dev/sdf")...)}).Volumes
	same(t, "volumes", len(list), 1)
	v := list[0].VolumeId
	await(t, ec2.NewVolumeInUseWaiter(c).Wait, &ec2.DescribeVolumesInput{VolumeIds: []string{*v}})
	same(t, "target", *do(t, c.ModifyVolume, &ec2.ModifyVolumeInput{VolumeId: v, Size: new(int32(30))}).VolumeModification.TargetSize, int32(30))
	done := do(t, c.DescribeVolumesModifications, &ec2.DescribeVolumesModificationsInput{VolumeIds: []string{*v}}).VolumesModifications[0]
	same(t, "modification", done.ModificationState, types.VolumeModificationStateCompleted)
	refused(t, c.DeleteVolume, &ec2.DeleteVolumeInput{VolumeId: v}, "VolumeInUse")
	terminate(t, c, *i.InstanceId)
	await(t, ec2.NewVolumeAvailableWaiter(c).Wait, &ec2.DescribeVolumesInput{VolumeIds: []string{*v}})
	do(t, c.DeleteVolume, &ec2.DeleteVolumeInput{VolumeId: v})
	await(t, ec2.NewVolumeDeletedWaiter(c).Wait, &ec2.DescribeVolumesInput{VolumeIds: []string{*v}})
}

func lifeOfNetworkInterface(t *testing.T, c *ec2.Client) {
	s := defaultSubnet(t, c)
	n := do(t, c.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: s.SubnetId, Description: new("second"), TagSpecifications: named(types.ResourceTypeNetworkInterface, "n")}).NetworkInterface
	same(t, "state", n.Status, types.NetworkInterfaceStatus("pending"))
	id := []string{*n.NetworkInterfaceId}
	await(t, ec2.NewNetworkInterfaceAvailableWaiter(c).Wait, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: id})
	more := do(t, c.AssignPrivateIpAddresses, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: n.NetworkInterfaceId, SecondaryPrivateIpAddressCount: new(int32(2))}).AssignedPrivateIpAddresses
	same(t, "addresses", len(more), 2)
	do(t, c.UnassignPrivateIpAddresses, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: n.NetworkInterfaceId, PrivateIpAddresses: []string{*more[0].PrivateIpAddress}})
	do(t, c.ModifyNetworkInterfaceAttribute, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n.NetworkInterfaceId, SourceDestCheck: &types.AttributeBooleanValue{Value: new(false)}})
	check := func() bool {
		return *do(t, c.DescribeNetworkInterfaceAttribute, &ec2.DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: n.NetworkInterfaceId, Attribute: types.NetworkInterfaceAttributeSourceDestCheck}).SourceDestCheck.Value
	}
	same(t, "check", check(), false)
	do(t, c.ResetNetworkInterfaceAttribute, &ec2.ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: n.NetworkInterfaceId})
	same(t, "check", check(), true)

	i := launch(t, c, nil)
	a := do(t, c.AttachNetworkInterface, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: n.NetworkInterfaceId, InstanceId: i.InstanceId, DeviceIndex: new(int32(1))}).AttachmentId
	refused(t, c.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: n.NetworkInterfaceId}, "InvalidNetworkInterface.InUse")
	got := do(t, c.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: filter("attachment.attachment-id", *a)}).NetworkInterfaces
	same(t, "interfaces", len(got), 1)
	same(t, "state", got[0].Status, types.NetworkInterfaceStatusInUse)
	same(t, "addresses", len(got[0].PrivateIpAddresses), 2)
	same(t, "tags", got[0].TagSet, []types.Tag{{Key: new("Name"), Value: new("n")}})
	do(t, c.DetachNetworkInterface, &ec2.DetachNetworkInterfaceInput{AttachmentId: a})
	await(t, ec2.NewNetworkInterfaceAvailableWaiter(c).Wait, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: id})
	do(t, c.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: n.NetworkInterfaceId})
	refused(t, c.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: id}, "InvalidNetworkInterfaceID.NotFound")
	terminate(t, c, *i.InstanceId)
}

func lifeOfKeyPairs(t *testing.T, c *ec2.Client) {
	made := do(t, c.CreateKeyPair, &ec2.CreateKeyPairInput{KeyName: new("made"), KeyType: types.KeyTypeEd25519, TagSpecifications: named(types.ResourceTypeKeyPair, "k")})
	if !strings.Contains(*made.KeyMaterial, "PRIVATE KEY") {
		t.Errorf("material %.20s", *made.KeyMaterial)
	}
	await(t, ec2.NewKeyPairExistsWaiter(c).Wait, &ec2.DescribeKeyPairsInput{KeyNames: []string{"made"}})
	got := do(t, c.DescribeKeyPairs, &ec2.DescribeKeyPairsInput{KeyPairIds: []string{*made.KeyPairId}, IncludePublicKey: new(true)}).KeyPairs[0]
	same(t, "fingerprint", *got.KeyFingerprint, *made.KeyFingerprint)
	imported := do(t, c.ImportKeyPair, &ec2.ImportKeyPairInput{KeyName: new("imported"), PublicKeyMaterial: []byte(*got.PublicKey)})
	same(t, "fingerprint", *imported.KeyFingerprint, *made.KeyFingerprint)
	refused(t, c.ImportKeyPair, &ec2.ImportKeyPairInput{KeyName: new("imported"), PublicKeyMaterial: []byte(*got.PublicKey)}, "InvalidKeyPair.Duplicate")
	for _, name := range []string{"made", "imported"} {
		same(t, "return", *do(t, c.DeleteKeyPair, &ec2.DeleteKeyPairInput{KeyName: new(name)}).Return, true)
	}
	refused(t, c.DescribeKeyPairs, &ec2.DescribeKeyPairsInput{KeyNames: []string{"made"}}, "InvalidKeyPair.NotFound")
}

// pages reads a list page by page, and gives how many there are.
func pages[O any](t *testing.T, p interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*ec2.Options)) (*O, error)
}) (n int) {
	t.Helper()
	for ; p.HasMorePages(); n++ {
		if _, err := p.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// lifeOfPages reads lists of six, and of what each of six has, by fives.
func lifeOfPages(t *testing.T, c *ec2.Client) {
	launched := do(t, c.RunInstances, &ec2.RunInstancesInput{ImageId: new(someImage), MinCount: new(int32(6)), MaxCount: new(int32(6)), TagSpecifications: named(types.ResourceTypeInstance, "one of six")})
	var ids []string
	for _, i := range launched.Instances {
		ids = append(ids, *i.InstanceId)
	}
	five := new(int32(5))
	for what, n := range map[string]int{
		"instances":  pages(t, ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{MaxResults: five})),
		"statuses":   pages(t, ec2.NewDescribeInstanceStatusPaginator(c, &ec2.DescribeInstanceStatusInput{MaxResults: five})),
		"interfaces": pages(t, ec2.NewDescribeNetworkInterfacesPaginator(c, &ec2.DescribeNetworkInterfacesInput{MaxResults: five})),
		"volumes":    pages(t, ec2.NewDescribeVolumesPaginator(c, &ec2.DescribeVolumesInput{MaxResults: five})),
		"tags":       pages(t, ec2.NewDescribeTagsPaginator(c, &ec2.DescribeTagsInput{Filters: filter("resource-type", "instance"), MaxResults: five})),
		"credits":    pages(t, ec2.NewDescribeInstanceCreditSpecificationsPaginator(c, &ec2.DescribeInstanceCreditSpecificationsInput{MaxResults: five})),
		"subnets":    pages(t, ec2.NewDescribeSubnetsPaginator(c, &ec2.DescribeSubnetsInput{MaxResults: five})), // one in each of six zones
	} {
		same(t, "pages of "+what, n, 2)
	}
	same(t, "pages of VPCs", pages(t, ec2.NewDescribeVpcsPaginator(c, &ec2.DescribeVpcsInput{MaxResults: five})), 1)
	terminate(t, c, ids...)
}

// lifeOfCatalogue asks for what is there in every account.
func lifeOfCatalogue(t *testing.T, c *ec2.Client) {
	regions := do(t, c.DescribeRegions, &ec2.DescribeRegionsInput{RegionNames: []string{"eu-south-1"}}).Regions
	same(t, "Region", *regions[0].RegionName, "eu-south-1")
	zones := do(t, c.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{Filters: filter("opt-in-status", "opt-in-not-required")}).AvailabilityZones
	same(t, "zones", []any{len(zones) >= 3, *zones[0].ZoneName}, []any{true, "eu-south-1a"})
	v := do(t, c.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")}).Vpcs[0].VpcId
	account := do(t, c.DescribeAccountAttributes, &ec2.DescribeAccountAttributesInput{AttributeNames: []types.AccountAttributeName{types.AccountAttributeNameDefaultVpc}}).AccountAttributes
	same(t, "default VPC", *account[0].AttributeValues[0].AttributeValue, *v)

	kinds := do(t, c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceTypeT3Micro}}).InstanceTypes[0]
	same(t, "t3.micro", []int64{int64(*kinds.VCpuInfo.DefaultVCpus), *kinds.MemoryInfo.SizeInMiB, int64(*kinds.NetworkInfo.MaximumNetworkInterfaces)}, []int64{2, 1024, 2})
	refused(t, c.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"t99.huge"}}, "InvalidInstanceType")
	n := 0
	for p := ec2.NewDescribeInstanceTypesPaginator(c, &ec2.DescribeInstanceTypesInput{MaxResults: new(int32(5))}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.InstanceTypes)
	}
	offers := do(t, c.DescribeInstanceTypeOfferings, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: types.LocationTypeAvailabilityZone, Filters: filter("location", "eu-south-1a")}).InstanceTypeOfferings
	same(t, "types offered in a zone", len(offers), n)

	images := do(t, c.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"amazon"}, Filters: filter("name", "al2023-ami-2023*")}).Images
	if len(images) == 0 {
		t.Fatal("no Amazon Linux")
	}
	same(t, "root", images[0].RootDeviceType, types.DeviceTypeEbs)
	await(t, ec2.NewImageAvailableWaiter(c).Wait, &ec2.DescribeImagesInput{ImageIds: []string{someImage}})
	refused(t, c.DescribeImages, &ec2.DescribeImagesInput{ImageIds: []string{"ubuntu"}}, "InvalidAMIID.Malformed")
}
