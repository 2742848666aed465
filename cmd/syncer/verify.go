package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check that the tables keep their promises", Args: usageArgs(cobra.NoArgs),
		Long:    "Reads the tables, changes nothing, and names every promise that is broken. The exit code is 1 if any is.",
		Example: "  syncer verify\n  syncer verify --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd.Context(), func(h *house) error {
				broken, err := h.Store.Verify(cmd.Context())
				if err != nil {
					return err
				}
				for _, v := range broken {
					if a.json {
						if err := a.line(violationJSON{v.Rule, v.Count, v.What}); err != nil {
							return err
						}
						continue
					}
					a.say("%s: %s", printable(v.Rule), count(v.Count, "row"))
					a.say("%s", strings.Join(wrapped("  ", v.What), "\n"))
				}
				if len(broken) > 0 {
					return exitCode(exitError)
				}
				a.hint("Every promise of the tables is kept.")
				return nil
			})
		},
	}
}

type violationJSON struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"`
	What  string `json:"what"`
}
