package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// scriptLab is the world of a script that calls: a bank, its customers, and the program's configuration
// for it. The script has these commands besides:
//
//	lab CUSTOMERS             starts it; its connection is bank1, its job money1
//	people FILE FROM TO [N]   writes a list of customers to import, with N reads a day
//	configure OLD NEW         changes the configuration
//	fail STATUS FROM TO [S]   answers the customers' calls with a status, and Retry-After: S; mend ends that
//	calls N                   checks how many data calls have come since it was asked last
//	number N QUERY            checks a number in the database
//	eventually N QUERY        waits until a number in the database is N
//	sql STATEMENT             changes the database
//	api FOLDER                serves the files of a folder over HTTP, at $API
type scriptLab struct {
	*lab.Lab
	mend []func()
	seen int
}

// labCommands are the commands of a script that need a lab. t is the test that all labs go with.
func labCommands(t *testing.T, all map[string]func(*testscript.TestScript, bool, []string)) {
	all["lab"] = func(ts *testscript.TestScript, _ bool, args []string) {
		l := lab.New(t, lab.Options{Bank: sbanken.Options{Customers: whole(ts, args[0]), Transactions: 60, Days: 120}})
		ts.Setenv("SYNCER_CONFIG", l.Config)
		labs(ts).started = &scriptLab{Lab: l}
	}
	all["api"] = func(ts *testscript.TestScript, _ bool, args []string) {
		server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
		ts.Defer(server.Close)
		ts.Setenv("API", server.URL)
	}
	for name, f := range map[string]func(*scriptLab, *testscript.TestScript, []string){
		"people": (*scriptLab).people, "configure": (*scriptLab).configure, "fail": (*scriptLab).fail,
		"mend": (*scriptLab).mended, "calls": (*scriptLab).calls, "number": (*scriptLab).number,
		"eventually": (*scriptLab).eventually, "sql": (*scriptLab).sql,
	} {
		all[name] = func(ts *testscript.TestScript, _ bool, args []string) { f(labs(ts).started, ts, args) }
	}
}

// labOf keeps a script's lab in its environment.
type labOf struct{ started *scriptLab }

func labs(ts *testscript.TestScript) *labOf { return ts.Value("lab").(*labOf) }

func whole(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

func (l *scriptLab) people(ts *testscript.TestScript, args []string) {
	var csv strings.Builder
	reads := ""
	if len(args) > 3 {
		reads = args[3]
	}
	csv.WriteString("external_id,national_id,reads_per_day\n")
	for i := whole(ts, args[1]); i < whole(ts, args[2]); i++ {
		fmt.Fprintf(&csv, "agreement-%06d,%s,%s\n", i, l.Bank.Customer(i).CustomerID, reads)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(csv.String()), 0o600))
}

func (l *scriptLab) configure(ts *testscript.TestScript, args []string) {
	text, err := os.ReadFile(l.Config)
	ts.Check(err)
	changed := strings.Replace(string(text), args[0], strings.ReplaceAll(args[1], `\n`, "\n"), 1)
	if changed == string(text) {
		ts.Fatalf("%q stands nowhere in %s", args[0], filepath.Base(l.Config))
	}
	ts.Check(os.WriteFile(l.Config, []byte(changed), 0o600))
}

func (l *scriptLab) fail(ts *testscript.TestScript, args []string) {
	action := sandbox.Action{Kind: sandbox.AnswerStatus, Status: whole(ts, args[0])}
	if len(args) > 3 {
		action.RetryAfter = sandbox.RetryAfter{Seconds: whole(ts, args[3])}
	}
	for i := whole(ts, args[1]); i < whole(ts, args[2]); i++ {
		id, err := l.Kit.Faults.Add(sandbox.Rule{Provider: sbanken.Name, Only: "api", Subject: l.Bank.Customer(i).CustomerID,
			Action: action})
		ts.Check(err)
		l.mend = append(l.mend, func() { l.Kit.Faults.Remove(id) })
	}
}

func (l *scriptLab) mended(*testscript.TestScript, []string) {
	for _, undo := range l.mend {
		undo()
	}
	l.mend = nil
}

func (l *scriptLab) calls(ts *testscript.TestScript, args []string) {
	came, all := 0, l.Kit.Journal.Entries()
	for _, e := range all[l.seen:] {
		if !e.Token {
			came++
		}
	}
	l.seen = len(all)
	if len(args) > 0 && came != whole(ts, args[0]) {
		ts.Fatalf("%d data calls have come, want %s", came, args[0])
	}
}

func (l *scriptLab) number(ts *testscript.TestScript, args []string) {
	if got := l.ask(ts, args[1]); got != whole(ts, args[0]) {
		ts.Fatalf("%s: %d, want %s", args[1], got, args[0])
	}
}

func (l *scriptLab) ask(ts *testscript.TestScript, query string) (n int) {
	ts.Check(l.DB.Pool.QueryRow(l.Context(), query).Scan(&n))
	return n
}

func (l *scriptLab) eventually(ts *testscript.TestScript, args []string) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for late := time.After(time.Minute); l.ask(ts, args[1]) != whole(ts, args[0]); {
		select {
		case <-ticker.C:
		case <-late:
			ts.Fatalf("%s: it never came to %s", args[1], args[0])
		}
	}
}

func (l *scriptLab) sql(ts *testscript.TestScript, args []string) {
	_, err := l.DB.Pool.Exec(l.Context(), args[0])
	ts.Check(err)
}
