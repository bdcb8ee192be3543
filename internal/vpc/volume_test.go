package vpc

import (
	"reflect"
	"testing"
)

func TestVolumes_OfAnInstance(t *testing.T) {
	s := newSite(t)
	out := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public,
		BlockDeviceMappings: []BlockDeviceMapping{
			{DeviceName: "/dev/sda1", Ebs: &EbsBlockDevice{VolumeSize: new(20), VolumeType: "gp2"}},
			{DeviceName: "/dev/sdf", Ebs: &EbsBlockDevice{VolumeSize: new(100), VolumeType: "io2", Iops: new(500), DeleteOnTermination: new(false), Encrypted: new(true)}},
			{DeviceName: "/dev/sdg", VirtualName: "ephemeral0"},
		},
		TagSpecifications: []TagSpecification{{"volume", []Tag{{"Use", "data"}}}, {"instance", []Tag{{"Name", "x"}}}}}))
	id := out.Instances[0].InstanceId
	list := must(s.DescribeVolumes(&DescribeVolumesInput{Filters: namedFilter("attachment.instance-id", string(id))})).Volumes
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	root, data := list[0], list[1]
	if root.Attachments[0].Device != RootDevice {
		root, data = data, root
	}
	if root.Size != 20 || root.VolumeType != "gp2" || root.Iops != 100 || root.State != "in-use" || !root.Attachments[0].DeleteOnTermination {
		t.Errorf("root: %+v", root)
	}
	if data.Size != 100 || data.Iops != 500 || !data.Encrypted || data.Attachments[0].Device != "/dev/sdf" || !reflect.DeepEqual(data.Tags, []Tag{{"Use", "data"}}) {
		t.Errorf("data: %+v", data)
	}
	maps := must(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{id}})).Reservations[0].Instances[0].BlockDeviceMappings
	if len(maps) != 2 || maps[0].Ebs.VolumeId != root.VolumeId || maps[1].Ebs.VolumeId != data.VolumeId {
		t.Errorf("%+v", maps)
	}
	wantCode(t, code(s.DeleteVolume(&DeleteVolumeInput{VolumeId: data.VolumeId})), "VolumeInUse")
	must(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceTerminated(id)
	left := must(s.DescribeVolumes(&DescribeVolumesInput{})).Volumes
	if len(left) != 1 || left[0].VolumeId != data.VolumeId || left[0].State != "available" || len(left[0].Attachments) != 0 {
		t.Fatalf("%+v", left)
	}
	must(s.DeleteVolume(&DeleteVolumeInput{VolumeId: data.VolumeId}))
	wantCode(t, code(s.DeleteVolume(&DeleteVolumeInput{VolumeId: data.VolumeId})), "InvalidVolume.NotFound")
}

func TestModifyVolume(t *testing.T) {
	s := newSite(t)
	id := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public})).Instances[0].InstanceId
	v := s.volumesOf(id)[0].ID
	wantCode(t, code(s.DescribeVolumesModifications(&DescribeVolumesModificationsInput{VolumeIds: []VolumeID{v}})), "InvalidVolumeModification.NotFound")
	wantCode(t, code(s.ModifyVolume(&ModifyVolumeInput{VolumeId: v, Size: new(4)})), "InvalidParameterValue")
	must(s.ModifyVolume(&ModifyVolumeInput{VolumeId: v, Size: new(30), VolumeType: "gp2"}))
	m := must(s.DescribeVolumesModifications(&DescribeVolumesModificationsInput{VolumeIds: []VolumeID{v}})).VolumesModifications
	if len(m) != 1 || m[0].ModificationState != "completed" || m[0].OriginalSize != 8 || m[0].TargetSize != 30 || m[0].TargetVolumeType != "gp2" || m[0].TargetIops != 100 {
		t.Errorf("%+v", m)
	}
	if info := must(s.DescribeVolumes(&DescribeVolumesInput{VolumeIds: []VolumeID{v}})).Volumes[0]; info.Size != 30 || info.Throughput != 0 {
		t.Errorf("%+v", info)
	}
}

func TestVolumes_Refused(t *testing.T) {
	s := newSite(t)
	root := func(e EbsBlockDevice) []BlockDeviceMapping {
		return []BlockDeviceMapping{{DeviceName: "/dev/xvda", Ebs: &e}}
	}
	for name, c := range map[string]struct {
		mappings []BlockDeviceMapping
		code     string
	}{
		"negative IOPS":       {root(EbsBlockDevice{Iops: new(-5)}), "InvalidParameterValue"},
		"negative throughput": {root(EbsBlockDevice{Throughput: new(-5)}), "InvalidParameterValue"},
		"throughput of gp2":   {root(EbsBlockDevice{VolumeType: "gp2", Throughput: new(200)}), "InvalidParameterCombination"},
		"IOPS of st1":         {root(EbsBlockDevice{VolumeType: "st1", Iops: new(200)}), "InvalidParameterCombination"},
		"io1 without IOPS":    {root(EbsBlockDevice{VolumeType: "io1"}), "MissingParameter"},
		"nothing said of it":  {append(root(EbsBlockDevice{}), BlockDeviceMapping{DeviceName: "/dev/sdf"}), "MissingParameter"},
		"no size":             {append(root(EbsBlockDevice{}), BlockDeviceMapping{DeviceName: "/dev/sdf", Ebs: &EbsBlockDevice{VolumeType: "gp3"}}), "MissingParameter"},
		"one device twice":    {append(root(EbsBlockDevice{}), BlockDeviceMapping{DeviceName: "/dev/sda1", Ebs: &EbsBlockDevice{}}), "InvalidBlockDeviceMapping"},
	} {
		if got := code(s.RunInstances(&RunInstancesInput{SubnetId: s.public, BlockDeviceMappings: c.mappings})); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
	}
	must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, BlockDeviceMappings: root(EbsBlockDevice{VolumeType: "io2", Iops: new(200)})}))
	// A device to omit is one whatever NoDevice is set to (API Reference, BlockDeviceMapping).
	id := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, BlockDeviceMappings: []BlockDeviceMapping{{DeviceName: "/dev/sdb", NoDevice: new("")}}})).Instances[0].InstanceId
	if n := len(s.volumesOf(id)); n != 1 {
		t.Errorf("%d volumes", n)
	}
}

// Instances of one launch have associations of their own, in the Region's partition.
func TestProfileAssociations_OfOneLaunch(t *testing.T) {
	s := newSite(t)
	must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, MinCount: new(2), MaxCount: new(2), IamInstanceProfile: &IamInstanceProfileSpecification{Name: "app"}}))
	list := must(s.DescribeIamInstanceProfileAssociations(&DescribeIamInstanceProfileAssociationsInput{})).IamInstanceProfileAssociations
	if len(list) != 2 || list[0].AssociationId == list[1].AssociationId {
		t.Errorf("%+v", list)
	}
}

// What means nothing in a lab is read back as it was given.
func TestInstanceOptions_AreReadBack(t *testing.T) {
	s := newSite(t)
	id := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, InstanceType: "t3.micro", EbsOptimized: new(true), Monitoring: &RunInstancesMonitoringEnabled{new(true)},
		CreditSpecification: &CreditSpecificationRequest{"standard"}, IamInstanceProfile: &IamInstanceProfileSpecification{Name: "app"},
		CpuOptions: &CpuOptionsRequest{ThreadsPerCore: new(1)}, HibernationOptions: &HibernationOptionsRequest{new(true)}, EnclaveOptions: &EnclaveOptionsRequest{new(true)},
		MaintenanceOptions: &InstanceMaintenanceOptionsRequest{"disabled"}, CapacityReservationSpecification: &CapacityReservationSpecification{CapacityReservationPreference: "none"}})).Instances[0].InstanceId
	info := must(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{id}})).Reservations[0].Instances[0]
	if !info.EbsOptimized || info.Monitoring.State != "enabled" || info.IamInstanceProfile.Arn != "arn:aws:iam::123456789012:instance-profile/app" {
		t.Errorf("%+v", info)
	}
	if *info.CpuOptions != (CpuOptions{1, 1}) || !info.HibernationOptions.Configured || !info.EnclaveOptions.Enabled || info.MaintenanceOptions.AutoRecovery != "disabled" || info.CapacityReservationSpecification.CapacityReservationPreference != "none" {
		t.Errorf("%+v", info)
	}
	credits := func() string {
		return must(s.DescribeInstanceCreditSpecifications(&DescribeInstanceCreditSpecificationsInput{InstanceIds: []InstanceID{id}})).InstanceCreditSpecifications[0].CpuCredits
	}
	if c := credits(); c != "standard" {
		t.Error(c)
	}
	out := must(s.ModifyInstanceCreditSpecification(&ModifyInstanceCreditSpecificationInput{InstanceCreditSpecifications: []InstanceCreditSpecificationRequest{
		{id, "unlimited"}, {"i-00000000000000bad", "unlimited"}, {id, "golden"}}}))
	if len(out.SuccessfulInstanceCreditSpecifications) != 1 || len(out.UnsuccessfulInstanceCreditSpecifications) != 2 || out.UnsuccessfulInstanceCreditSpecifications[0].Error.Code != "InvalidInstanceID.NotFound" {
		t.Errorf("%+v", out)
	}
	if c := credits(); c != "unlimited" {
		t.Error(c)
	}
	if m := must(s.UnmonitorInstances(&UnmonitorInstancesInput{InstanceIds: []InstanceID{id}})).InstanceMonitorings; m[0].Monitoring.State != "disabled" {
		t.Errorf("%+v", m)
	}
	must(s.MonitorInstances(&MonitorInstancesInput{InstanceIds: []InstanceID{id}}))
	list := must(s.DescribeIamInstanceProfileAssociations(&DescribeIamInstanceProfileAssociationsInput{Filters: namedFilter("instance-id", string(id))})).IamInstanceProfileAssociations
	if len(list) != 1 || list[0].State != "associated" {
		t.Errorf("%+v", list)
	}
	wantCode(t, code(s.DescribeIamInstanceProfileAssociations(&DescribeIamInstanceProfileAssociationsInput{AssociationIds: []string{"iip-assoc-00000000000000bad"}})), "InvalidAssociationID.NotFound")
}

func TestInstanceHardware(t *testing.T) {
	s := newSite(t)
	run := func(in RunInstancesInput) (*RunInstancesOutput, error) {
		in.SubnetId, in.InstanceType = s.public, "m5.large"
		return s.RunInstances(&in)
	}
	i := must(run(RunInstancesInput{})).Instances[0]
	if *i.CpuOptions != (CpuOptions{1, 2}) || i.HibernationOptions.Configured || i.EnclaveOptions.Enabled || *i.MaintenanceOptions != (InstanceMaintenanceOptions{"default", "default"}) || i.CapacityReservationSpecification.CapacityReservationPreference != "open" {
		t.Errorf("as AWS has it: %+v", i)
	}
	for _, c := range []struct {
		in   RunInstancesInput
		want string
	}{
		{RunInstancesInput{CpuOptions: &CpuOptionsRequest{CoreCount: new(2)}}, "InvalidParameterCombination"},
		{RunInstancesInput{CpuOptions: &CpuOptionsRequest{ThreadsPerCore: new(3)}}, "InvalidParameterCombination"},
		{RunInstancesInput{CpuOptions: &CpuOptionsRequest{ThreadsPerCore: new(-1)}}, "InvalidParameterCombination"},
		{RunInstancesInput{MaintenanceOptions: &InstanceMaintenanceOptionsRequest{"never"}}, "InvalidParameterValue"},
		{RunInstancesInput{CapacityReservationSpecification: &CapacityReservationSpecification{CapacityReservationPreference: "always"}}, "InvalidParameterValue"},
	} {
		wantCode(t, code(run(c.in)), c.want)
	}

	changed := must(s.ModifyInstanceMaintenanceOptions(&ModifyInstanceMaintenanceOptionsInput{InstanceId: i.InstanceId, AutoRecovery: "disabled"}))
	if changed.AutoRecovery != "disabled" {
		t.Errorf("%+v", changed)
	}
	wantCode(t, code(s.ModifyInstanceMaintenanceOptions(&ModifyInstanceMaintenanceOptionsInput{InstanceId: i.InstanceId, AutoRecovery: "never"})), "InvalidParameterValue")
	reserve := func(r *CapacityReservationSpecification) string {
		return code(s.ModifyInstanceCapacityReservationAttributes(&ModifyInstanceCapacityReservationAttributesInput{InstanceId: i.InstanceId, CapacityReservationSpecification: r}))
	}
	wantCode(t, reserve(&CapacityReservationSpecification{CapacityReservationTarget: &CapacityReservationTarget{CapacityReservationId: "cr-1"}}), "")
	wantCode(t, reserve(&CapacityReservationSpecification{}), "MissingParameter")
	wantCode(t, reserve(nil), "MissingParameter")
	found := must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter("maintenance-options.auto-recovery", "disabled")})).Reservations
	if len(found) != 1 || found[0].Instances[0].CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId != "cr-1" {
		t.Errorf("%+v", found)
	}
}

// Whether a volume goes with its instance can be changed while it runs.
func TestModifyInstanceAttribute_Volumes(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	set := func(m ...InstanceBlockDeviceMappingSpecification) string {
		return code(s.ModifyInstanceAttribute(&ModifyInstanceAttributeInput{InstanceId: id, BlockDeviceMappings: m}))
	}
	keeps := func() bool { return !s.volumesOf(id)[0].DeleteOnTermination }
	keep, lose := &EbsInstanceBlockDeviceSpecification{DeleteOnTermination: new(false)}, &EbsInstanceBlockDeviceSpecification{DeleteOnTermination: new(true)}
	wantCode(t, set(InstanceBlockDeviceMappingSpecification{DeviceName: "/dev/xvda", Ebs: keep}), "")
	if !keeps() {
		t.Error("the root volume still goes with the instance")
	}
	wantCode(t, set(InstanceBlockDeviceMappingSpecification{DeviceName: "/dev/sda1", Ebs: lose}), "")
	if keeps() {
		t.Error("the root volume stays")
	}
	lose.VolumeId = s.volumesOf(id)[0].ID
	wantCode(t, set(InstanceBlockDeviceMappingSpecification{Ebs: lose}), "")
	wantCode(t, set(InstanceBlockDeviceMappingSpecification{Ebs: keep}), "MissingParameter")
	lose.VolumeId = "vol-00000000000000bad"
	wantCode(t, set(InstanceBlockDeviceMappingSpecification{DeviceName: "/dev/xvda", Ebs: lose}), "InvalidParameterValue")
}
