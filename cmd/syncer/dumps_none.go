//go:build !unix

package main

// forbidDumps does nothing where the system has no such limit.
func forbidDumps() {}
