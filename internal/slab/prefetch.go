//go:build amd64 || arm64

package slab

import "unsafe"

// Prefetch has the processor fetch the cache line at p while the program goes on: what
// lies at random in a large table would be waited for otherwise. Any address will do.
//
//go:noescape
func Prefetch(p unsafe.Pointer)
