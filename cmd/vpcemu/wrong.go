package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

// errInterrupted is Ctrl-C in a command that only looks: nothing was begun that goes on.
var errInterrupted = errors.New("interrupted")

// looking is the error of a command that only looks.
func looking(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// requestError makes an error that the daemon has about a request one of the command line.
func requestError(err error) error {
	var e *control.Error
	if errors.As(err, &e) {
		return usageError{err}
	}
	return looking(err)
}

// noEmpty refuses flags that are there without a value, as "$NAME" is where NAME is not
// set: what they narrow down would be everything.
func noEmpty(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if v := f.Value.String(); f.Changed && (v == "" || v == "[]") {
			return usageOf(cmd, fmt.Errorf("--%s: its value is empty: give one, or leave the flag out", name))
		}
	}
	return nil
}
