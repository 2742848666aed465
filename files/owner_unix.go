//go:build unix

package files

import (
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// OfOurGroup says whether a file's group is one that this process is in.
func OfOurGroup(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if int(stat.Gid) == os.Getegid() {
		return true
	}
	groups, err := os.Getgroups()
	return err == nil && slices.Contains(groups, int(stat.Gid))
}
