// Package disk is the disk of an instance: overlay file systems over the host's own, or one over a tree of
// another distribution, whose upper layers hold all that the instance ever wrote.
//
// A disk is a directory:
//
//	upper, work       the layers over the host's root
//	mounts/NAME/...   upper and work over each further file system of the host, such as /usr
//	prepared          written last at the first boot: what must not shine through is hidden
//	console.log       output of PID 1; console.log.1 is what was in it before
//	rootfs            what the layers lie over, where that is not the host's root
//
// The host makes the directory, PID 1 mounts it. Where the kernel cannot put an upper layer on the file
// system that holds the disk (a container's own overlay, NFS), the host mounts a tmpfs over the directory, and
// the disk lives as long as that mount.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Names inside a disk's directory.
const (
	Console = "console.log"
	// OldConsole takes what was in Console when that had grown to MaxConsole bytes.
	OldConsole = "console.log.1"
	prepared   = "prepared"
)

// MaxConsole bounds Console and OldConsole each, in bytes.
const MaxConsole = 1 << 20

// Layer is one overlay of a disk: the host's file system mounted at Mount, and what lies on top of it.
type Layer struct {
	Mount, Upper, Work string
	// Tree is the directory that the layer lies over instead, if any.
	Tree string
}

func (l Layer) lower() string {
	if l.Tree != "" {
		return l.Tree
	}
	return l.Mount
}

// TreeLayers names the only overlay of a disk in dir that lies over a directory of the host's, which is never
// written to. What is mounted below that directory does not show through.
func TreeLayers(dir, tree string) []Layer {
	return []Layer{{Mount: "/", Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), Tree: tree}}
}

// Layers names the overlays of the disk in dir, parents first: the root, then the host's mounts that show
// through. Anything mounted at or below an excluded path does not.
func Layers(dir string, mounts []Mount, exclude []string) []Layer {
	layers := []Layer{{Mount: "/", Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work")}}
	for _, m := range stackable(mounts, exclude) {
		base := filepath.Join(dir, "mounts", escape(m.Point))
		layers = append(layers, Layer{Mount: m.Point, Upper: filepath.Join(base, "upper"), Work: filepath.Join(base, "work")})
	}
	return layers
}

// escape makes one file name of a path.
func escape(path string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(strings.TrimPrefix(path, "/"))
}

// Make creates the directories of a layer. The upper one looks like the root of what it covers, since an
// overlay takes mode and owner of a directory from its topmost layer.
func (l Layer) Make() error {
	if err := os.MkdirAll(l.Work, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Upper), 0o700); err != nil {
		return err
	}
	return copyDir(l.lower(), l.Upper)
}

// Open makes the overlay without showing it anywhere: a descriptor to pass to Attach, or to close.
func (l Layer) Open() (fd int, err error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("overlay: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{{"source", "overlay"}, {"lowerdir", l.lower()}, {"upperdir", l.Upper}, {"workdir", l.Work}} {
		value, done, err := plain(o[1])
		if err == nil {
			defer done() // some kernels look the path up only at the end
			err = unix.FsconfigSetString(fs, o[0], value)
		}
		if err != nil {
			return -1, fmt.Errorf("overlay: %s=%s: %w%s", o[0], o[1], err, kernelLog(fs))
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("overlay of %s with upper layer %s: %w%s", l.lower(), l.Upper, err, kernelLog(fs))
	}
	if fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("overlay of %s: %w", l.lower(), err)
	}
	return fd, nil
}

// plain gives another name of a directory whose own has characters that overlayfs gives a meaning to: ':'
// between layers and '\' before it, by rules that differ from kernel to kernel and option to option. done ends
// the name's life.
func plain(dir string) (name string, done func(), err error) {
	if !strings.ContainsAny(dir, `:\`) {
		return dir, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), func() { f.Close() }, nil
}

// Attach mounts what Open gave at target and closes it.
func Attach(fd int, target string) error {
	defer unix.Close(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("overlay: mount at %s: %w", target, err)
	}
	return nil
}

// Probe tells whether the disk in dir can carry the upper layer over the tree, or over the host's root if tree is
// empty, by mounting it where nobody sees it.
func Probe(dir, tree string) error {
	l := TreeLayers(dir, tree)[0]
	if err := l.Make(); err != nil {
		return err
	}
	fd, err := l.Open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return opaque(l.Work) // the attribute that hides directories must be storable, too
}

// kernelLog gives what the kernel had to say about a failed mount, for the end of an error.
func kernelLog(fs int) string {
	var said []string
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(fs, buf)
		if n <= 0 || errors.Is(err, unix.ENODATA) {
			break
		}
		if text := strings.TrimSpace(string(buf[:n])); len(text) > 2 && text[1] == ' ' {
			said = append(said, text[2:]) // "e text", "w text"
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}
