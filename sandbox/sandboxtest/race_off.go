//go:build !race

package sandboxtest

// Race says that the tests run with the race detector.
const Race = false
