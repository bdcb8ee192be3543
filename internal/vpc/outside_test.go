package vpc

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
)

func tied(t *testing.T, tx *Tx, o Outside) Outside {
	t.Helper()
	if err := tx.SetOutside(o); err != nil {
		t.Fatal(err)
	}
	for _, err := range tx.Check() {
		t.Error(err)
	}
	return tx.Outside
}

func TestOutside_TheMachineKeepsItsAddress(t *testing.T) {
	tx := emptyLab(t)
	if _, err := tx.CreateInternetHost(&CreateInternetHostInput{PublicIp: "198.51.100.254"}); err != nil {
		t.Fatal(err)
	}
	is := tied(t, tx, Outside{Join: true, Hosts: true})
	if is.Address != netip.MustParseAddr("198.51.100.253") || is.Handle == 0 || !is.Join || !is.Hosts {
		t.Fatalf("%+v", is)
	}
	if again := tied(t, tx, Outside{Join: true, Hosts: true, Address: netip.MustParseAddr("1.2.3.4")}); !reflect.DeepEqual(again, is) {
		t.Errorf("again: %+v", again)
	}
	if both := tied(t, tx, Outside{Join: true, Uplink: UplinkHost}); both.Address != is.Address || both.Handle != is.Handle {
		t.Errorf("with an uplink: %+v", both)
	}
	_, err := tx.CreateInternetHost(&CreateInternetHostInput{PublicIp: "198.51.100.253"})
	var e *Error
	if !errors.As(err, &e) || e.Code != "InvalidIPAddress.InUse" {
		t.Errorf("the machine's address for another host: %v", err)
	}
	tx.PublicPools = []netip.Prefix{cidr("192.0.2.0/30")}
	if moved := tied(t, tx, Outside{Uplink: UplinkHost}); moved.Address != netip.MustParseAddr("192.0.2.2") || moved.Handle != is.Handle {
		t.Errorf("with other pools: %+v", moved)
	}
	if gone := tied(t, tx, Outside{}); gone.Address.IsValid() || gone.Handle != 0 {
		t.Errorf("untied: %+v", gone)
	}
	if anew := tied(t, tx, Outside{Join: true}); anew.Handle == is.Handle {
		t.Error("a handle is used again")
	}
}

func TestOutside_NoAddressLeft(t *testing.T) {
	tx := emptyLab(t)
	tx.PublicPools = []netip.Prefix{cidr("192.0.2.0/32")}
	was := tied(t, tx, Outside{Join: true})
	if _, err := tx.AllocateAddress(&AllocateAddressInput{}); err == nil {
		t.Error("the machine's address is given away")
	}
	if tied(t, tx, was).Address != was.Address {
		t.Error("it has moved")
	}
	tied(t, tx, Outside{})
	if _, err := tx.AllocateAddress(&AllocateAddressInput{}); err != nil {
		t.Fatal(err)
	}
	if err := tx.SetOutside(Outside{Join: true}); err == nil || tx.Outside.Linked() {
		t.Errorf("error %v, %+v", err, tx.Outside)
	}
}

func TestOutside_HostsAreTheMachineAndTheOthers(t *testing.T) {
	tx := emptyLab(t)
	if _, err := tx.CreateInternetHost(&CreateInternetHostInput{HostName: "far"}); err != nil {
		t.Fatal(err)
	}
	names := func() (list []string) {
		for _, h := range tx.Hosts() {
			list = append(list, h.HostName)
		}
		return list
	}
	tied(t, tx, Outside{Uplink: UplinkHost})
	if got := names(); !reflect.DeepEqual(got, []string{"far"}) {
		t.Errorf("uplink: %v", got)
	}
	tied(t, tx, Outside{Join: true})
	if got := names(); !reflect.DeepEqual(got, []string{"host", "far"}) {
		t.Errorf("joined: %v", got)
	}
	for _, h := range tx.Hosts() {
		if h.PublicIp != tx.Outside.Address {
			t.Errorf("%+v", h)
		}
		break
	}
}
