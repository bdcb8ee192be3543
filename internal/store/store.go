// Package store keeps a lab's model on disk: one bbolt file, one bucket a type
// of object, one JSON value an object. A commit writes what changed between two
// models in one transaction and is synced before it returns; a file system that
// is full makes the commit fail and leaves the state before it.
package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// version of the layout. A file of a later version is refused, never guessed at.
const version = 1

var (
	bucketMeta   = []byte("meta")
	bucketLeases = []byte("leases")
	keyVersion   = []byte("version")
	keySettings  = []byte("settings")
)

// ErrInUse: another process has the file open, which only the lab's daemon does.
var ErrInUse = errors.New("state file is in use by another daemon")

// ErrFull: the file system that holds the state has no room.
var ErrFull = errors.New("no space left for the lab's state")

// ErrDamaged: the file is not what a commit leaves, which a crash does not do.
var ErrDamaged = errors.New("the state file is damaged: put a copy of it back, or remove the lab with `vpcemu down` and bring it up anew")

// Store is an open state file. Its methods may be called from any goroutine;
// commits are serialised by bbolt.
type Store struct {
	db   *bolt.DB
	path string
}

// Open opens or creates the file, and looks through all of it. It waits a quarter
// of a second for a daemon that is just leaving, then answers ErrInUse.
func Open(path string) (s *Store, err error) {
	defer guard(path, &err)()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, full(err))
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 250 * time.Millisecond})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("store %s: %w", path, ErrInUse)
	}
	if isNoDatabase(err) {
		return nil, fmt.Errorf("store %s: %w (%w)", path, ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, full(err))
	}
	s = &Store{db: db, path: path}
	if err := errors.Join(s.check(), s.initialise()); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// Hold keeps daemons from opening the file until the result is closed, without looking into it.
// The result is nil where there is no file; ErrInUse says that a daemon has it open.
func Hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // as bbolt does
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return f, nil
}

// isNoDatabase tells bbolt's complaints about a file from the system's.
func isNoDatabase(err error) bool {
	var system syscall.Errno
	return err != nil && !errors.As(err, &system)
}

// guard turns what bbolt does about a damaged file, a panic or a read beyond the
// file's end, into an error. The result is to be deferred.
func guard(path string, err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("store %s: %w (%v)", path, ErrDamaged, p)
		}
	}
}

// check looks through the whole file. A lab's is small.
func (s *Store) check() error {
	err := s.db.View(func(tx *bolt.Tx) error {
		if fi, err := os.Stat(s.path); err != nil || fi.Size() < tx.Size() {
			return errors.Join(err, errors.New("it was cut short")) // Check would read beyond its end
		}
		var first error
		for err := range tx.Check() { // to the end, or its goroutine stays
			if first == nil {
				first = err
			}
		}
		return first
	})
	if err != nil {
		return fmt.Errorf("store %s: %w (%w)", s.path, ErrDamaged, err)
	}
	return nil
}

// Close releases the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) initialise() error {
	var found []byte
	err := s.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketMeta); b != nil {
			found = bytes.Clone(b.Get(keyVersion))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", s.path, err)
	}
	if found != nil {
		if v := binary.BigEndian.Uint32(found); v != version {
			return fmt.Errorf("store %s: layout version %d, this vpcemu reads %d: use the vpcemu that wrote it, or remove the lab with it", s.path, v, version)
		}
		return nil
	}
	return s.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		return b.Put(keyVersion, binary.BigEndian.AppendUint32(nil, version))
	})
}

// Load reads the model. ok is false where none was saved yet.
func (s *Store) Load() (m *vpc.Model, ok bool, err error) {
	defer guard(s.path, &err)()
	m = &vpc.Model{}
	err = s.db.View(func(tx *bolt.Tx) error {
		settings := tx.Bucket(bucketMeta).Get(keySettings)
		if settings == nil {
			return nil
		}
		ok = true
		if err := json.Unmarshal(settings, m); err != nil {
			return fmt.Errorf("settings: %w", err)
		}
		for name, table := range m.Tables() {
			if err := load(tx.Bucket([]byte(name)), table); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("store %s: %w (%w)", s.path, ErrDamaged, err)
	}
	return m, ok, nil
}

func load(b *bolt.Bucket, table vpc.AnyTable) error {
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error { return table.Decode(string(k), v) })
}

// Commit makes the change from old to new durable. old may be an empty model for
// the first commit. When it returns nil the change survives a power cut. Where
// nothing changed nothing is written.
func (s *Store) Commit(old, new *vpc.Model) error {
	if unchanged(old, new) {
		return nil
	}
	return s.update(func(tx *bolt.Tx) error {
		settings, err := json.Marshal(new.WithoutTables())
		if err != nil {
			return err
		}
		meta := tx.Bucket(bucketMeta)
		if !bytes.Equal(settings, meta.Get(keySettings)) {
			if err := meta.Put(keySettings, settings); err != nil {
				return err
			}
		}
		before := old.Tables()
		for name, table := range new.Tables() {
			if err := save(tx, name, before[name], table); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

func unchanged(old, new *vpc.Model) bool {
	a, err1 := json.Marshal(old.WithoutTables())
	b, err2 := json.Marshal(new.WithoutTables())
	same := err1 == nil && err2 == nil && bytes.Equal(a, b)
	before := old.Tables()
	for name, table := range new.Tables() {
		table.Changes(before[name], func(string, any) { same = false }, func(string) { same = false })
	}
	return same
}

func save(tx *bolt.Tx, name string, old, new vpc.AnyTable) (err error) {
	b := tx.Bucket([]byte(name))
	if b == nil {
		if b, err = tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	new.Changes(old, func(key string, object any) {
		v, e := json.Marshal(object)
		keep(e)
		keep(b.Put([]byte(key), v))
	}, func(key string) {
		keep(b.Delete([]byte(key)))
	})
	return err
}

// PutLeases remembers the DHCP leases of ENIs, by handle, in one commit.
func (s *Store) PutLeases(leases map[uint32]any) error {
	return s.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketLeases)
		if err != nil {
			return err
		}
		for eni, lease := range leases {
			v, err := json.Marshal(lease)
			if err != nil {
				return err
			}
			if err := b.Put(handleKey(eni), v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Leases calls each with every remembered lease.
func (s *Store) Leases(each func(eni uint32, lease []byte) error) error {
	return s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLeases)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error { return each(binary.BigEndian.Uint32(k), v) })
	})
}

// DropLeases forgets the leases of the ENIs for which gone says so.
func (s *Store) DropLeases(gone func(eni uint32) bool) error {
	return s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLeases)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if gone(binary.BigEndian.Uint32(k)) {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func handleKey(eni uint32) []byte { return binary.BigEndian.AppendUint32(nil, eni) }

func (s *Store) update(f func(*bolt.Tx) error) error {
	if err := s.db.Update(f); err != nil {
		return fmt.Errorf("store %s: %w", s.path, full(err))
	}
	return nil
}

// full gives the errors of a full disk or quota one name.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: free some and run the command again (%w)", ErrFull, err)
	}
	return err
}
