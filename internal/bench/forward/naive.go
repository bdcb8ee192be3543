package forward

import (
	"errors"
	"fmt"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/songgao/water"
)

// Naive forwards between two devices as the tutorials do: a goroutine a device, one packet a call, decoded by gopacket, its TTL
// decremented, serialised with new checksums, written. It returns when a device is gone.
func Naive(a, b *os.File) error {
	one, other := &water.Interface{ReadWriteCloser: a}, &water.Interface{ReadWriteCloser: b}
	failed := make(chan error, 2)
	go func() { failed <- naive(one, other) }()
	go func() { failed <- naive(other, one) }()
	return <-failed
}

func naive(from, to *water.Interface) error {
	buffer := make([]byte, maxPacket)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return err
		}
		out, err := decrement(buffer[:n])
		if err != nil {
			continue // nothing that this network carries
		}
		_, _ = to.Write(out) // what the other end does not take is dropped
	}
}

// decrement returns the packet with a TTL one lower, decoded and serialised layer by layer.
func decrement(b []byte) ([]byte, error) {
	p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
	ip, ok := p.NetworkLayer().(*layers.IPv4)
	if !ok {
		return nil, errors.New("no IPv4")
	}
	if ip.TTL <= 1 {
		return nil, errors.New("expired")
	}
	ip.TTL--
	list := []gopacket.SerializableLayer{ip}
	switch t := p.TransportLayer().(type) {
	case *layers.TCP:
		list = append(list, t, gopacket.Payload(t.LayerPayload()))
		if err := t.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
	case *layers.UDP:
		list = append(list, t, gopacket.Payload(t.LayerPayload()))
		if err := t.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
	default:
		list = append(list, gopacket.Payload(ip.LayerPayload()))
	}
	out := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...)
	if err != nil {
		return nil, fmt.Errorf("serialise: %w", err)
	}
	return out.Bytes(), nil
}
