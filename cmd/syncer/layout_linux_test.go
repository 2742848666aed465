package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
	"unsafe"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox/sbanken"
)

// TestTheLayoutFollowsTheTerminal looks at what commands show on terminals of three widths, and what they write into a pipe:
// nothing is wider than the terminal, and nothing is cut in a pipe.
func TestTheLayoutFollowsTheTerminal(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Bank: sbanken.Options{Customers: 2, Transactions: 20}})
	id := "agreement-of-a-customer-whose-bank-writes-ids-that-are-as-long-as-a-sentence-in-a-letter-is-0001"
	l.ImportCSV("bank1", "external_id,national_id,valid_until\n"+id+","+l.Bank.Customer(0).CustomerID+",2050-12-31\n")
	l.Says(0, []string{"run", "money1"}, "complete")
	l.Number(`WITH q AS (INSERT INTO quarantine
			(consent_id, dataset, account_id, call_id, place, reason, body_hash, record_id, times, last_run)
		SELECT consent_id, dataset, account_id, call_id, 3, 'amount: ' || repeat('not an amount, ', 9) || 'nor a number', 'b', 'tx-7', 2, 1
		FROM cursors WHERE dataset = 'transactions' LIMIT 1 RETURNING id) SELECT id FROM q`)
	l.Says(cli.ExitPartial, []string{"run", "money1"})
	l.Says(0, []string{"connections", "park", "bank1", "--reason", strings.Repeat("they move to another machine ", 5)})
	for _, command := range []string{
		"status", "runs show 2", "rerun 2 --plan", "consents list", "quarantine show 1", "quarantine list", "check",
	} {
		piped, _ := l.Syncer(strings.Fields(command)...)
		if strings.Contains(piped, "…") {
			t.Errorf("%s: something is cut in a pipe:\n%s", command, piped)
		}
		for _, columns := range []int{60, 80, 180} {
			shown := onTerminal(l, columns, strings.Fields(command)...)
			widest := 0
			for line := range strings.Lines(shown) {
				width := utf8.RuneCountInString(strings.TrimRight(line, "\r\n"))
				if widest = max(widest, width); width > columns {
					t.Errorf("%s on %d columns: %d: %q", command, columns, width, line)
				}
			}
			if columns == 180 && strings.Contains(piped, id) && !strings.Contains(shown, id) {
				t.Errorf("%s on 180 columns has no room for what is %d wide at most:\n%s", command, widest, shown)
			}
		}
	}
	if out := l.Says(0, []string{"consents", "list"}, "2050-12-31"); !strings.Contains(out, id) {
		t.Errorf("the id is cut:\n%s", out)
	}
}

// onTerminal runs the program on a terminal of so many columns, and gives what it has shown.
func onTerminal(l *lab.Lab, columns int, args ...string) string {
	l.Helper()
	ours, theirs, err := terminal(columns)
	if err != nil {
		l.Fatal(err)
	}
	defer ours.Close()
	cmd := l.Command([]string{"COLUMNS="}, args...)
	cmd.Stdout = theirs
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	_ = theirs.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, ours) // a terminal that nobody has open any more ends with an error
	_ = cmd.Wait()               // some of these exit with 1 or 3
	return shown.String()
}

// terminal makes a pseudoterminal: what is written to the second file can be read from the first.
func terminal(columns int) (ours, theirs *os.File, err error) {
	if ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	var number, unlocked int32
	size := struct{ rows, columns, x, y uint16 }{24, uint16(columns), 0, 0}
	err = ioctl(ours, syscall.TIOCGPTN, unsafe.Pointer(&number))
	if err == nil {
		err = ioctl(ours, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	}
	if err == nil {
		err = ioctl(ours, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		_ = ours.Close()
	}
	return ours, theirs, err
}

func ioctl(f *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(argument)); code != 0 {
		return fmt.Errorf("ioctl %x of %s: %w", request, f.Name(), code)
	}
	return nil
}
