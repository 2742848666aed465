package sandboxtest

import (
	"flag"
	"strconv"
	"testing"
)

// Most tests wait, for a server or for a pause to end, as long as they compute or longer. Go runs as many of a
// package at once as there are cores.
const (
	waitOften   = 4 // they wait for a database or for processes as long as they compute
	waitMostly  = 8 // they wait for the pauses of a provider
	parallelKey = "test.parallel"
)

// SideBySide runs the tests of a package that wait for pauses, for its TestMain, and gives the exit code. Without
// -parallel it runs more of them at once than there are cores.
func SideBySide(m *testing.M) int {
	flag.Parse()
	runAtOnce(waitMostly)
	return m.Run()
}

// SideBySideIfShort does so with -short alone, so that the inner loop is quick. Without it the tests that measure
// time keep Go's own number.
func SideBySideIfShort(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		runAtOnce(waitOften)
	}
	return m.Run()
}

// runAtOnce sets how many tests run at once, unless the command line does.
func runAtOnce(n int) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallelKey })
	if given {
		return
	}
	if err := flag.Set(parallelKey, strconv.Itoa(n)); err != nil {
		panic(err) // the flag is one of Go's own
	}
}
