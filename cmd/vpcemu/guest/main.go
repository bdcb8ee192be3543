// Command vpcemu-guest is PID 1 of an instance; see package guest. It is a program of its own because every
// instance runs one: it must start at once and need little memory.
package main

import (
	"os"

	"github.com/vpcemu/vpcemu/internal/guest"
)

func main() { os.Exit(guest.Main(os.Args)) }
