package main

import "syscall"

// Operations of prctl(2).
const (
	prGetDumpable = 3
	prSetDumpable = 4
)

// undumpable also keeps a dump from a program that the kernel is told to pipe it to, which no limit stops, and keeps others of
// the same user from reading the memory. Programs that this one starts are what they would be.
func undumpable() { _, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0) }

// dumpable says whether the kernel may dump the process.
func dumpable() bool {
	is, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetDumpable, 0, 0)
	return errno != 0 || is != 0
}
