package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"syncer/persist/persisttest"
	"syncer/report/text"
)

// TestScripts runs the command line as a person or a script would; see testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	// Under nohup(1) the programs of the scripts would ignore a hangup too, unless it is caught here.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "fits": fits, "absent": absent, "mode": mode,
		"database": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Setenv("SYNCER_DATABASE_URL", persisttest.URL(t))
		},
		"empty-database": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Setenv("SYNCER_DATABASE_URL", persisttest.Empty(t).URL)
		},
	}
	labCommands(t, commands)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GORACE", os.Getenv("GORACE")) // see lab.Races
			env.Setenv("SYNCER_STATE_DIR", env.WorkDir+"/state")
			env.Values["lab"] = &labOf{}
			return nil
		},
		Cmds: commands,
	})
}

// exits runs a command and checks its exit code: exits 2 syncer frobnicate.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// fits checks that no line of the last command's stdout is wider than a terminal's 80 columns. Errors are one line each,
// whatever it takes.
func fits(ts *testscript.TestScript, neg bool, _ []string) {
	wide := ""
	for _, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if utf8.RuneCountInString(line) > text.Width {
			wide = line
		}
	}
	if (wide != "") != neg {
		ts.Fatalf("the widest line that does not fit: %q", wide)
	}
}

// absent checks that a text stands nowhere in what the last command wrote.
func absent(ts *testscript.TestScript, neg bool, args []string) {
	for _, text := range args {
		if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), text) != neg {
			ts.Fatalf("%q was written", text)
		}
	}
}

// mode checks a file's permissions: mode 0600 syncer.keys.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); (got == args[0]) == neg {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}
