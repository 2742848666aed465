package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Races runs tests, and fails them if the race detector has found a race in a process that they started. A process ends with
// code 66 then, if it is not killed before, and few tests show what it wrote. So the detector writes to files, which are shown here.
//
// It also has such programs end when they have ended. By itself the detector keeps each alive for another second, in case that a
// race shows up then: that is most of the time of a test of many commands.
func Races(run func() int) int {
	const name = "GORACE"
	if os.Getenv(name) != "" {
		return run() // somebody watches otherwise
	}
	dir, err := os.MkdirTemp("", "syncer-races-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for what the race detector finds:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv(name, "atexit_sleep_ms=0 log_path="+filepath.Join(dir, "of")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := run()
	found, err := filepath.Glob(filepath.Join(dir, "of.*"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		fmt.Fprintf(os.Stderr, "a process of these tests has a data race:\n%s%v\n", text, err)
		code = max(code, 1)
	}
	return code
}
