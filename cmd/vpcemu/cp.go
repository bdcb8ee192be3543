package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/transfer"
)

func newCp() *cobra.Command {
	var archive bool
	var user string
	cmd := &cobra.Command{
		Use:   "cp [flags] SRC DST",
		Short: "Copy files and directories into, out of or between running instances",
		Long: `Cp copies a file, or a directory with all that is in it. SRC, DST or both are INSTANCE:PATH; a path
without a leading slash is below the user's home there. As with cp, what is copied to a directory that
exists goes into it, and otherwise gets the new name; "DIR/." means what is in DIR. Modes, times and
symbolic links are kept, owners with -a. A file is there whole or not at all, also where the copy is
interrupted. It needs no daemon.`,
		Example: `  sudo vpcemu cp ./site web:/var/www/html
  sudo vpcemu cp web:/var/log/syslog .
  sudo vpcemu cp -u ec2-user key.pem web:.ssh/
  sudo vpcemu cp -a web:/etc/ssl db:/etc/`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ends := [2]*copyEnd{}
			for i, arg := range args {
				e, err := newCopyEnd(cmd.Context(), arg, user)
				if err != nil {
					return err
				}
				if e.path == "" {
					return usageOf(cmd, errors.New("cp: an empty path"))
				}
				ends[i] = e
			}
			if ends[0].instance == "" && ends[1].instance == "" {
				return usageOf(cmd, errors.New("cp: neither SRC nor DST is INSTANCE:PATH"))
			}
			return copyBetween(cmd.Context(), ends[0], ends[1], archive)
		},
	}
	cmd.Flags().BoolVarP(&archive, "archive", "a", false, "keep owners and groups, by number, and setuid")
	cmd.Flags().StringVarP(&user, "user", "u", "", "user to read and write as in the instances (root)")
	return cmd
}

// copyEnd is one end of a copy: a path here, or in an instance.
type copyEnd struct {
	path           string
	instance, id   string // "" here
	runDir, asUser string
	said           bytes.Buffer // what the instance's end has to complain of
}

// newCopyEnd reads INSTANCE:PATH; a colon behind a slash is part of a path here.
func newCopyEnd(ctx context.Context, arg, user string) (*copyEnd, error) {
	name, path, ok := strings.Cut(arg, ":")
	if !ok || strings.Contains(name, "/") || name == "" {
		return &copyEnd{path: arg}, nil
	}
	cfg, i, err := instanceOf(ctx, name)
	if err != nil {
		return nil, err
	}
	if i.State != "running" && i.State != "pending" {
		return nil, fmt.Errorf("instance %s is %s: start it with `vpcemu start %s`", i.Name, i.State, i.Name)
	}
	if path == "" || path[0] == '-' {
		path = "./" + path
	}
	return &copyEnd{path: path, instance: i.Name, id: i.ID, runDir: cfg.RunDir, asUser: user}, nil
}

// run runs the program of one end in its instance.
func (e *copyEnd) run(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	status, err := host.Exec(ctx, e.runDir, e.id, host.ExecRequest{Argv: append([]string{wire.ProgramPath}, append(argv, e.path)...), User: e.asUser,
		Stdin: stdin, Stdout: stdout, Stderr: &e.said})
	if err != nil {
		return err
	}
	if status == 0 {
		return nil
	}
	said := strings.TrimPrefix(strings.TrimSpace(e.said.String()), "copy: ")
	if said == transfer.ErrCut.Error() {
		return transfer.ErrCut
	}
	if said == "" {
		said = fmt.Sprintf("the copy ended with status %d", status)
	}
	return fmt.Errorf("%s: %s", e.instance, said)
}

func (e *copyEnd) send(ctx context.Context, w *os.File) error {
	if e.instance == "" {
		return transfer.Send(w, e.path)
	}
	return e.run(ctx, nil, w, wire.CopySend)
}

func (e *copyEnd) receive(ctx context.Context, r *os.File, archive bool) error {
	switch {
	case e.instance == "":
		return transfer.Receive(r, e.path, transfer.Options{Owners: archive})
	case archive:
		return e.run(ctx, r, nil, wire.CopyReceive, "-a")
	}
	return e.run(ctx, r, nil, wire.CopyReceive)
}

// copyBetween runs both ends on one pipe. Each sees the other's end as that of the pipe; the error is that of the end
// that began it.
func copyBetween(ctx context.Context, from, to *copyEnd, archive bool) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { w.Close() })
	sent := make(chan error, 1)
	go func() {
		err := from.send(ctx, w)
		w.Close()
		sent <- err
	}()
	receiveErr := to.receive(context.WithoutCancel(ctx), r, archive)
	r.Close()
	if receiveErr != nil && !errors.Is(receiveErr, transfer.ErrCut) {
		cancel() // the sender writes to nobody
		<-sent
		return receiveErr
	}
	if err := <-sent; err != nil && ctx.Err() == nil {
		return err
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return receiveErr
}
