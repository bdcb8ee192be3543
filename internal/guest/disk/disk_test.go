package disk

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

const mountinfo = `22 27 0:5 / /proc rw shared:5 - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /usr rw,relatime shared:1 - xfs /dev/vdb rw
31 27 0:41 / /var rw - ext4 /dev/vdc rw
32 31 0:42 / /var/lib/data\040with\134odd rw - ext4 /dev/vdd rw
33 27 0:43 / /var rw - btrfs /dev/vde rw
34 27 0:44 / /home rw - ext4 /dev/vdf rw
bad line
35 27 0:45 / /nfs rw - nfs server:/ rw
`

func TestParseMounts(t *testing.T) {
	got := parseMounts(mountinfo)
	want := []Mount{{"/proc", "proc"}, {"/", "ext4"}, {"/usr", "xfs"}, {"/var", "btrfs"}, {`/var/lib/data with\odd`, "ext4"}, {"/home", "ext4"}, {"/nfs", "nfs"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Only directories of local file systems are stacked, and none that is to be empty anyway.
func TestLayers(t *testing.T) {
	layers := Layers("/d", parseMounts(mountinfo), []string{"/home"})
	want := []Layer{
		{Mount: "/", Upper: "/d/upper", Work: "/d/work"},
		{Mount: "/usr", Upper: "/d/mounts/usr/upper", Work: "/d/mounts/usr/work"},
		{Mount: "/var", Upper: "/d/mounts/var/upper", Work: "/d/mounts/var/work"},
	}
	if !reflect.DeepEqual(layers, want) {
		t.Errorf("got %q\nwant %q", layers, want)
	}
	for path, want := range map[string]string{"/etc/x": "/d/upper/etc/x", "/var": "/d/mounts/var/upper", "/var/log": "/d/mounts/var/upper/log", "/various": "/d/upper/various"} {
		if got := upperPath(layers, path); got != want {
			t.Errorf("%s lies in %s, want %s", path, got, want)
		}
	}
}

func TestEscape_IsUnambiguous(t *testing.T) {
	seen := make(map[string]string)
	for _, path := range []string{"/a/b", "/a%2Fb", "/a-b", "/a%b"} {
		if other, ok := seen[escape(path)]; ok {
			t.Errorf("%s and %s share %s", path, other, escape(path))
		}
		seen[escape(path)] = path
	}
}

func TestWithin(t *testing.T) {
	for path, want := range map[string]bool{"/run": true, "/run/x": true, "/running": false, "/": false} {
		if Within(path, []string{"/run"}) != want {
			t.Errorf("%s within /run: %v", path, !want)
		}
	}
}

func TestClearTmp(t *testing.T) {
	upper := t.TempDir()
	layers := []Layer{{Mount: "/", Upper: upper}}
	if err := ClearTmp(layers); err != nil {
		t.Errorf("without /tmp: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(upper, "tmp/dir/file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ClearTmp(layers); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(upper, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Whoever is root in an instance can make /tmp a link, and at the next boot it would be followed on the host.
func TestClearTmp_FollowsNoLinkToTheHost(t *testing.T) {
	for _, link := range []string{"tmp", "tmp/inside"} {
		upper, hosts := t.TempDir(), t.TempDir()
		kept := filepath.Join(hosts, "kept")
		if err := os.WriteFile(kept, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(upper, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(hosts, path); err != nil {
			t.Fatal(err)
		}
		if err := ClearTmp([]Layer{{Mount: "/", Upper: upper}}); err != nil {
			t.Errorf("/%s is a link: %v", link, err)
		}
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("/%s is a link: what it points to on the host is gone: %v", link, err)
		}
	}
}
