package persisttest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	shared     = "/dev/shm"
	tmpfs      = 0x01021994
	roomEnough = 4 << 30 // bytes in all; a whole go test needs less than two
)

// inMemory is a folder in memory for the test server, or empty where there is none or it is small. A database is some 300
// files, which each test makes and deletes: on a disk this took most of the server's time. The size in all is asked for, not
// what is free, so that every process on the machine decides alike.
func inMemory() string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(shared, &fs); err != nil || fs.Type != tmpfs || fs.Blocks*uint64(fs.Bsize) < roomEnough {
		return ""
	}
	return filepath.Join(shared, fmt.Sprintf("syncer-%d", os.Getuid()), "postgres")
}
