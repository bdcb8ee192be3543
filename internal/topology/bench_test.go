package topology

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// large is a topology of n instances with one security group, 200 to a subnet.
func large(n int) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: large\nregion: ap-northeast-1\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\nsubnets:\n")
	for s := range (n + 199) / 200 {
		fmt.Fprintf(&b, "  s%d: {vpc: main, cidr_block: 10.0.%d.0/24, availability_zone: ap-northeast-1a}\n", s, s)
	}
	b.WriteString("security_groups: {all: {vpc: main, ingress: [{protocol: all, self: true}]}}\ninstances:\n")
	for i := range n {
		fmt.Fprintf(&b, "  i%d: {subnet: s%d, security_groups: [all]}\n", i, i/200)
	}
	return b.String()
}

// BenchmarkConverge brings a lab of 1,000 instances up, then finds nothing to do.
func BenchmarkConverge(b *testing.B) {
	text := []byte(large(1000))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	file, err := Parse("large.yaml", text)
	if err != nil {
		b.Fatal(err)
	}
	m, _, _, err := file.Converge(nil, now, Options{Lab: "large"})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := Parse("large.yaml", text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := file.Converge(nil, now, Options{Lab: "large"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if _, changes, _, err := file.Converge(&m, now, Options{Lab: "large"}); err != nil || len(changes) > 0 {
				b.Fatal(changes, err)
			}
		}
	})
}
