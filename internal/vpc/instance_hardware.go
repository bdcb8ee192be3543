package vpc

import (
	"cmp"
	"slices"
)

// InstanceHardware is what is said of an instance's hardware and of the reservations that pay for
// it. A lab has neither: it is read back as it was given, so that a client that compares, such as
// Terraform, finds no difference.
type InstanceHardware struct {
	CoreCount, ThreadsPerCore int    // 0: as the type has it
	Hibernation, Enclave      bool   // configured, enabled
	AutoRecovery              string // default, disabled; "": default
	// Preference is open, none or capacity-reservations-only, "": open; the reservation, or
	// the group of them, is named instead.
	ReservationPreference, ReservationID, ReservationGroup string
}

// CpuOptionsRequest and the types below have the members of the EC2 API.
type CpuOptionsRequest struct {
	CoreCount      *int
	ThreadsPerCore *int
}

type CpuOptions struct {
	CoreCount      int `json:"CoreCount"`
	ThreadsPerCore int `json:"ThreadsPerCore"`
}

type HibernationOptionsRequest struct {
	Configured *bool
}

type HibernationOptions struct {
	Configured bool `json:"Configured"`
}

type EnclaveOptionsRequest struct {
	Enabled *bool
}

type EnclaveOptions struct {
	Enabled bool `json:"Enabled"`
}

type InstanceMaintenanceOptionsRequest struct {
	AutoRecovery string
}

type InstanceMaintenanceOptions struct {
	AutoRecovery    string `json:"AutoRecovery"`
	RebootMigration string `json:"RebootMigration"`
}

type CapacityReservationSpecification struct {
	CapacityReservationPreference string
	CapacityReservationTarget     *CapacityReservationTarget
}

type CapacityReservationTarget struct {
	CapacityReservationId               string
	CapacityReservationResourceGroupArn string
}

type CapacityReservationSpecificationResponse struct {
	CapacityReservationPreference string                             `json:"CapacityReservationPreference,omitempty"`
	CapacityReservationTarget     *CapacityReservationTargetResponse `json:"CapacityReservationTarget,omitempty"`
}

type CapacityReservationTargetResponse struct {
	CapacityReservationId               string `json:"CapacityReservationId,omitempty"`
	CapacityReservationResourceGroupArn string `json:"CapacityReservationResourceGroupArn,omitempty"`
}

// instanceHardware is that of a launch of a type.
func instanceHardware(in *RunInstancesInput, kind string) (h InstanceHardware, err error) {
	if c := in.CpuOptions; c != nil {
		h.CoreCount, h.ThreadsPerCore = valueOr(c.CoreCount, 0), valueOr(c.ThreadsPerCore, 0)
		has := instanceTypes[kind].cpu(kind)
		if h.CoreCount < 0 || h.CoreCount > has.DefaultCores {
			return h, errorf("InvalidParameterCombination", "The CPU core count %d is not valid for %s, which has %d.", h.CoreCount, kind, has.DefaultCores)
		}
		if h.ThreadsPerCore < 0 || h.ThreadsPerCore > has.DefaultThreadsPerCore {
			return h, errorf("InvalidParameterCombination", "%d threads per core are not valid for %s, which has %d.", h.ThreadsPerCore, kind, has.DefaultThreadsPerCore)
		}
	}
	if in.HibernationOptions != nil {
		h.Hibernation = valueOr(in.HibernationOptions.Configured, false)
	}
	if in.EnclaveOptions != nil {
		h.Enclave = valueOr(in.EnclaveOptions.Enabled, false)
	}
	if in.MaintenanceOptions != nil {
		err = h.setRecovery(in.MaintenanceOptions.AutoRecovery)
	}
	if err == nil && in.CapacityReservationSpecification != nil {
		err = h.setReservation(in.CapacityReservationSpecification)
	}
	return h, err
}

func (h *InstanceHardware) setRecovery(s string) error {
	if s != "" && s != "default" && s != "disabled" {
		return errValue(s, "autoRecovery", "It is default or disabled.")
	}
	h.AutoRecovery = cmp.Or(s, h.AutoRecovery)
	return nil
}

func (h *InstanceHardware) setReservation(r *CapacityReservationSpecification) error {
	t := r.CapacityReservationTarget
	if t == nil {
		t = &CapacityReservationTarget{}
	}
	if !slices.Contains([]string{"", "open", "none", "capacity-reservations-only"}, r.CapacityReservationPreference) {
		return errValue(r.CapacityReservationPreference, "capacityReservationPreference", "It is open, none or capacity-reservations-only.")
	}
	if err := oneGiven(r.CapacityReservationPreference != "", t.CapacityReservationId != "", t.CapacityReservationResourceGroupArn != ""); err != nil {
		return err
	}
	h.ReservationPreference, h.ReservationID, h.ReservationGroup = r.CapacityReservationPreference, t.CapacityReservationId, t.CapacityReservationResourceGroupArn
	return nil
}

func (h *InstanceHardware) cpu(kind string) *CpuOptions {
	has := instanceTypes[kind].cpu(kind)
	return &CpuOptions{cmp.Or(h.CoreCount, has.DefaultCores), cmp.Or(h.ThreadsPerCore, has.DefaultThreadsPerCore)}
}

func (h *InstanceHardware) maintenance() *InstanceMaintenanceOptions {
	return &InstanceMaintenanceOptions{cmp.Or(h.AutoRecovery, "default"), "default"}
}

func (h *InstanceHardware) reservation() *CapacityReservationSpecificationResponse {
	if h.ReservationID == "" && h.ReservationGroup == "" {
		return &CapacityReservationSpecificationResponse{CapacityReservationPreference: cmp.Or(h.ReservationPreference, "open")}
	}
	return &CapacityReservationSpecificationResponse{CapacityReservationTarget: &CapacityReservationTargetResponse{h.ReservationID, h.ReservationGroup}}
}

type ModifyInstanceMaintenanceOptionsInput struct {
	InstanceId   InstanceID
	AutoRecovery string
	DryRun       bool
}

type ModifyInstanceMaintenanceOptionsOutput struct {
	InstanceId      InstanceID `json:"InstanceId"`
	AutoRecovery    string     `json:"AutoRecovery"`
	RebootMigration string     `json:"RebootMigration"`
}

// ModifyInstanceMaintenanceOptions notes whether a failing host's instance is to be started on
// another. Nothing does so.
func (tx *Tx) ModifyInstanceMaintenanceOptions(in *ModifyInstanceMaintenanceOptionsInput) (*ModifyInstanceMaintenanceOptionsOutput, error) {
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	c := *i
	if err := c.Options.Hardware.setRecovery(in.AutoRecovery); err != nil {
		return nil, err
	}
	tx.Instances.Put(c.ID, &c)
	m := c.Options.Hardware.maintenance()
	return &ModifyInstanceMaintenanceOptionsOutput{c.ID, m.AutoRecovery, m.RebootMigration}, nil
}

type ModifyInstanceCapacityReservationAttributesInput struct {
	InstanceId                       InstanceID
	CapacityReservationSpecification *CapacityReservationSpecification
	DryRun                           bool
}

type ModifyInstanceCapacityReservationAttributesOutput struct {
	Return bool `json:"Return"`
}

// ModifyInstanceCapacityReservationAttributes notes what reservation an instance is to use.
func (tx *Tx) ModifyInstanceCapacityReservationAttributes(in *ModifyInstanceCapacityReservationAttributesInput) (*ModifyInstanceCapacityReservationAttributesOutput, error) {
	if in.CapacityReservationSpecification == nil {
		return nil, errMissing("CapacityReservationSpecification")
	}
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	c := *i
	if err := c.Options.Hardware.setReservation(in.CapacityReservationSpecification); err != nil {
		return nil, err
	}
	tx.Instances.Put(c.ID, &c)
	return &ModifyInstanceCapacityReservationAttributesOutput{true}, nil
}
