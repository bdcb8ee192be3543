package disk

import (
	"os"
	"strconv"
	"strings"
)

// Mount is one line of mountinfo(5).
type Mount struct {
	Point  string
	FSType string
}

// local are the file systems of a host that an instance sees through an overlay each. What is not local
// (NFS, FUSE), not a file system of a distribution (vfat, squashfs) or not stored is left out.
var local = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "f2fs": true, "zfs": true,
	"jfs": true, "bcachefs": true, "overlay": true, "erofs": true,
}

// Mounts reads the mounts of the calling thread's mount namespace.
func Mounts() ([]Mount, error) {
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(data)), nil
}

// parseMounts reads mountinfo(5). Of two mounts on one point the later covers the earlier.
func parseMounts(text string) []Mount {
	var mounts []Mount
	at := make(map[string]int)
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		fields, types := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(types) < 1 {
			continue
		}
		m := Mount{Point: unescape(fields[4]), FSType: types[0]}
		if i, ok := at[m.Point]; ok {
			mounts[i] = m
			continue
		}
		at[m.Point] = len(mounts)
		mounts = append(mounts, m)
	}
	return mounts
}

// unescape undoes the kernel's octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// stackable picks the directories other than the root whose file systems get an overlay of their own.
func stackable(mounts []Mount, exclude []string) []Mount {
	exclude = append([]string{"/proc", "/sys", "/dev", "/run", "/tmp", "/boot"}, exclude...)
	var picked []Mount
	for _, m := range mounts {
		if m.Point == "/" || !local[m.FSType] || Within(m.Point, exclude) {
			continue
		}
		if fi, err := os.Stat(m.Point); err == nil && fi.IsDir() {
			picked = append(picked, m)
		}
	}
	return picked
}

// Within tells whether path is one of the directories or below one.
func Within(path string, dirs []string) bool {
	for _, d := range dirs {
		if path == d || strings.HasPrefix(path, strings.TrimSuffix(d, "/")+"/") {
			return true
		}
	}
	return false
}
