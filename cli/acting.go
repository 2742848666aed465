package cli

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/persist"
)

// actor is who gives a command that changes something, and why.
type actor struct {
	as, reason string
	command    string // the command's name, without the program's; "syncer" where no command was read
}

// accountable gives a command that changes something the flags that say who does it and why. Such a
// command makes its change in Store.Acting, or in Store.ActingInSteps, with what act gives.
func (p *Program) accountable(c *cobra.Command, why string) *cobra.Command {
	c.Flags().StringVar(&p.by.as, "as", "", "who does it, kept for syncer acts (default: the system's user)")
	c.Flags().StringVar(&p.by.reason, "reason", "", cmp.Or(why, "why, kept for syncer acts"))
	return c
}

// maxActor and maxReason bound, in letters, what is kept of who and why.
const (
	maxActor  = 200
	maxReason = 2000
)

// check refuses what must not be kept.
func (by actor) check() error {
	for _, f := range []struct {
		flag, text string
		most       int
	}{{"--as", by.as, maxActor}, {"--reason", by.reason, maxReason}} {
		switch {
		case finance.ShowsNationalID(f.text):
			return usagef("%s holds what looks like a national id: leave it out, it would be kept in plain", f.flag)
		case utf8.RuneCountInString(f.text) > f.most:
			return usagef("%s is longer than %d letters", f.flag, f.most)
		}
	}
	return nil
}

// act is what is kept of the command that is being carried out.
func (p *Program) act(kind string, object any) persist.Act {
	who := strings.TrimSpace(p.by.as)
	if who == "" {
		who = systemUser()
	}
	return persist.Act{
		Who: who, Why: strings.TrimSpace(p.by.reason), Name: p.by.command,
		Kind: kind, Object: fmt.Sprint(object),
	}
}

// systemUser is the name of the user that the process runs as. In a container there may be none: then it
// is the number.
func systemUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// reasoned says whether there is a reason.
func (p *Program) reasoned() bool { return strings.TrimSpace(p.by.reason) != "" }
