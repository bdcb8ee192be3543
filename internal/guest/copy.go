package guest

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/transfer"
)

// copyFiles is one end of `vpcemu cp`, as an ordinary program of the instance: the instance's links lead where they
// lead in the instance.
func copyFiles(name string, args []string) error {
	owners := len(args) > 0 && args[0] == "-a"
	if owners {
		args = args[1:]
	}
	if len(args) != 1 {
		return errors.New("one path is wanted")
	}
	if name == wire.CopySend {
		return transfer.Send(os.Stdout, args[0])
	}
	// Who interrupts the copy closes the stream: what was begun is then taken away.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	return transfer.Receive(os.Stdin, args[0], transfer.Options{Owners: owners})
}
