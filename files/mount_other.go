//go:build !linux

package files

// OnReadOnlyMount is false where it is not known.
func OnReadOnlyMount(string) bool { return false }
