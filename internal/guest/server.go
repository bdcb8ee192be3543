package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// serve answers the control socket until it is closed.
func (g *guest) serve(l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			g.logf("control socket: %v", err)
			continue
		}
		go g.handle(wire.Conn{UnixConn: c})
	}
}

func (g *guest) handle(c wire.Conn) {
	defer c.Close()
	var req wire.Request
	files, err := c.Receive(&req)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			g.logf("control socket: %v", err)
		}
		return
	}
	if req.Op == wire.OpExec && req.Exec != nil {
		g.exec(c, req.Exec, files)
		return
	}
	if req.Op == wire.OpMemory && len(files) == 1 {
		g.memory.watch(files[0], req.Memory, g.logf)
		g.send(c, wire.Reply{})
		return
	}
	wire.CloseFiles(files)
	if req.Op == wire.OpQueues {
		err = g.network.Queues(func(handles []uint32, queues []*os.File) error {
			return c.Send(wire.Reply{Handles: handles}, queues...)
		})
		if err != nil {
			g.logf("control socket: queues: %v", err)
		}
		return
	}
	reply, queue, err := g.answer(c, req)
	if err != nil {
		reply.Error = err.Error()
	}
	if queue != nil {
		g.send(c, reply, queue)
		return
	}
	g.send(c, reply)
}

// answer carries out a request that needs no more than a reply, and a queue for a new interface.
func (g *guest) answer(c wire.Conn, req wire.Request) (r wire.Reply, queue *os.File, err error) {
	switch req.Op {
	case wire.OpStatus:
		r.Status = g.Status()
	case wire.OpReady:
		err = g.awaitReady(c)
	case wire.OpAttach:
		if req.NIC == nil {
			return r, nil, errors.New("attach: no interface named")
		}
		queue, err = g.attach(*req.NIC)
	case wire.OpDetach:
		err = g.network.Remove(req.Handle)
	case wire.OpStop:
		g.stop(wire.CauseStop, req.Grace)
	default:
		err = fmt.Errorf("request %q: unknown", req.Op)
	}
	return r, queue, err
}

// attach adds an interface to the running instance.
func (g *guest) attach(n wire.NIC) (queue *os.File, err error) {
	if err := withTunDevice(func() error {
		queue, err = g.network.Add(n)
		return err
	}); err != nil {
		return nil, err
	}
	if err := g.network.Up(n.Handle); err != nil {
		return nil, errors.Join(err, g.network.Remove(n.Handle))
	}
	return queue, nil
}

// awaitReady returns when the instance is ready, or when the client has gone.
func (g *guest) awaitReady(c wire.Conn) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		var more wire.Request
		files, _ := c.Receive(&more) // a client sends nothing more: this ends with the connection
		wire.CloseFiles(files)
	}()
	select {
	case <-g.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.network.WaitAddresses(ctx)
}
