//go:build !unix

package files

// withoutWaiting is nothing where files have no such flag.
const withoutWaiting = 0
