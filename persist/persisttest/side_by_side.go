package persisttest

import (
	"flag"
	"strconv"
	"testing"
)

// atOnce is how many tests of a package run at once with -short: they wait for the server as long as they compute.
const atOnce = 4

// Run runs the tests of a package, for its TestMain, and gives the exit code. With -short and without -parallel it runs
// more of them at once than there are cores, so that the inner loop is quick. Without -short the tests that measure
// time keep Go's own number.
func Run(m *testing.M) int {
	flag.Parse()
	if testing.Short() && !given("test.parallel") {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			panic(err) // the flag is one of Go's own
		}
	}
	return m.Run()
}

func given(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}
