//go:build unix

package files

import "syscall"

// withoutWaiting keeps an open from waiting for somebody who writes into a pipe.
const withoutWaiting = syscall.O_NONBLOCK
