//go:build !linux

package pg

import "syscall"

// boundUnheard does nothing where the kernel has no such bound.
func boundUnheard(string, string, syscall.RawConn) error { return nil }
