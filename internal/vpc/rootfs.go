package vpc

import "path"

// What a Rootfs may be besides the absolute path of a directory or archive.
const (
	RootfsHost         = "host" // kept as ""
	RootfsHostReadOnly = "host-read-only"
)

// rootfs checks what a request says of a root file system. Whether it is there is the host's to know.
func rootfs(s string) (string, error) {
	switch {
	case s == "" || s == RootfsHost:
		return "", nil
	case s == RootfsHostReadOnly, path.IsAbs(s) && path.Clean(s) == s && s != "/":
		return s, nil
	}
	return "", errValue(s, "rootfs", "It is host, host-read-only, or the absolute path of a directory or an archive.")
}
