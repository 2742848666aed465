package files

import "syscall"

// readOnly is the flag of a mount that nobody can write to (statfs(2), ST_RDONLY).
const readOnly = 1

// OnReadOnlyMount says whether a file lies on a mount that is read-only, such as a secret of Kubernetes.
func OnReadOnlyMount(path string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(path, &s) == nil && s.Flags&readOnly != 0
}
