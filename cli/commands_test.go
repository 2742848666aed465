package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// changesNothing are the commands that only look, do the machine's own work, which has its own tables,
// or are at the server or the files around the database. Every other one writes down who has called it,
// and so has --as.
var changesNothing = []string{
	"acts", "call", "check", "config check", "config example", "config schema", "config show",
	"connections list", "consents list", "consents show", "db fetch", "db remove", "db start", "db status",
	"db stop", "db url", "demo", "health", "init", "keys list", "quarantine list", "removals list", "run",
	"quarantine show", "runs", "runs list", "runs show", "sandbox", "serve", "status", "streams list", "verify", "version", "work",
}

func TestEveryCommandThatChangesSomethingSaysWho(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		name := strings.TrimPrefix(c.CommandPath(), "syncer ")
		holder := c.HasSubCommands() && name != "runs"
		if holder || name == "help" || strings.HasPrefix(name, "completion") {
			return
		}
		accountable := c.Flags().Lookup("as") != nil && c.Flags().Lookup("reason") != nil
		if looks := slices.Contains(changesNothing, name); looks == accountable {
			t.Errorf("%s: it is among those that change nothing: %v; it has --as and --reason: %v",
				name, looks, accountable)
		}
	}
	walk(New(nil, io.Discard, io.Discard, os.LookupEnv, Setup{}).root())
}
