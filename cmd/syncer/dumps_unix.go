//go:build unix

package main

import "syscall"

// forbidDumps keeps the kernel from writing the process's memory to a file when it dies: the secrets are in it. What it can't
// forbid stays allowed.
func forbidDumps() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
}
