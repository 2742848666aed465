//go:build !linux

package persisttest

// inMemory is empty: only on Linux is there a folder in memory to count on.
func inMemory() string { return "" }
