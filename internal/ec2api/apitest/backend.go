// Package apitest serves the EC2 API from a model alone, for tests: no daemon, no root,
// and instances that run at once.
package apitest

import (
	"context"
	"crypto"
	"sync"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Account is the account of the model.
const Account = "123456789012"

// Backend performs operations on a model of its own. It implements ec2api.Backend.
type Backend struct {
	mu    sync.Mutex
	model vpc.Model
	now   time.Time
}

// New returns a fresh account with its default VPC.
func New(t testing.TB) *Backend {
	t.Helper()
	b := &Backend{now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	m, err := vpc.New("lab", Account, "us-east-1", nil, b.call(), true)
	if err != nil {
		t.Fatal(err)
	}
	b.model = m
	return b
}

func (b *Backend) call() vpc.Call {
	return vpc.Call{
		Now: b.now, NewID: vpc.RandomID,
		NewKey:  func(kind string) (crypto.Signer, error) { return vpc.RandomKey(kind) },
		Console: func(vpc.InstanceID) ([]byte, error) { return []byte("console\n"), nil },
	}
}

// Account implements ec2api.Backend.
func (b *Backend) Account() string { return Account }

// Model is a copy of the model as it is now.
func (b *Backend) Model() vpc.Model {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.model.Clone()
}

// Pass lets time pass.
func (b *Backend) Pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// Do implements ec2api.Backend. What an action has begun has ended when the next one comes.
func (b *Backend) Do(_ context.Context, region, action string, in any) (any, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tx := vpc.Begin(&b.model, b.call())
	if err := tx.OpenRegion(region); err != nil {
		return nil, err
	}
	b.model = tx.Model // open, whatever comes of the action
	tx = vpc.Begin(&b.model, b.call())
	tx.Call.Region, tx.Call.Client = region, true
	out, err := tx.Run(action, in)
	if !vpc.Stands(err) {
		return nil, err
	}
	settle(tx)
	b.model = tx.Model
	return out, err
}

// settle is what the host reports of sandboxes.
func settle(tx *vpc.Tx) {
	for id, i := range tx.Instances.All() {
		switch i.State {
		case vpc.StatePending:
			tx.InstanceRunning(id)
		case vpc.StateStopping:
			tx.InstanceStopped(id, "")
		case vpc.StateShuttingDown:
			tx.InstanceTerminated(id)
		}
	}
}
