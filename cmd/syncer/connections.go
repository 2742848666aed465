package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/persist"
)

func (a *app) connectionsCommand() *cobra.Command {
	var reason string
	park := &cobra.Command{
		Use: "park NAME --reason TEXT", Short: "Stop every call over a connection, in all processes", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Parks a connection: no further call is made over it, by any process, until `syncer connections open`.\n" +
			"A call that is on its way is not cut short. Items that would need it fail, and a rerun takes them.",
		Example:           "  syncer connections park ng-prod --reason 'the provider asked us to stop'",
		ValidArgsFunction: a.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: whoever meets the parked connection must know why")
			}
			return a.look(cmd.Context(), func(h *house) error { return a.parkConnection(cmd.Context(), h, args[0], reason) })
		},
	}
	park.Flags().StringVar(&reason, "reason", "", "why, for whoever meets it")
	resume := a.resumeCommand()
	return group("connections", "List connections, park them, open those that are parked, and end pauses of days",
		park, resume,
		&cobra.Command{
			Use: "list", Short: "List the configured connections and whether they may be used", Args: usageArgs(cobra.NoArgs),
			Example: "  syncer connections list",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.look(cmd.Context(), func(h *house) error { return a.listConnections(cmd.Context(), h) })
			},
		},
		&cobra.Command{
			Use: "open NAME", Short: "Use a parked connection again", Args: usageArgs(cobra.ExactArgs(1)),
			Long: "Opens a connection that was parked because its token, its credentials or its server was refused.\n" +
				"Mend the cause first: `syncer check` tells whether it is. New credentials need no opening: they are\n" +
				"used as soon as they are in their file or in the configuration.",
			Example: "  syncer check && syncer connections open ng-prod", ValidArgsFunction: a.connectionNames,
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.look(cmd.Context(), func(h *house) error { return a.openConnection(cmd.Context(), h, args[0]) })
			},
		})
}

type connectionJSON struct {
	Name         string     `json:"name"`
	Provider     string     `json:"provider"`
	State        string     `json:"state"` // open, parked, or unused: no command has used it yet
	ParkedAt     *time.Time `json:"parked_at,omitempty"`
	ParkedClass  string     `json:"parked_class,omitempty"`
	ParkedReason string     `json:"parked_reason,omitempty"`
	ParkedAlone  bool       `json:"parked_for_its_credentials,omitempty"` // others are used as soon as they are configured
	FeedReadAt   *time.Time `json:"feed_read_at,omitempty"`
}

func toConnectionJSON(c persist.Connection) connectionJSON {
	j := connectionJSON{Name: c.Name, Provider: c.Provider, State: "open", FeedReadAt: instant(c.FeedReadAt)}
	if c.Parked {
		j.State, j.ParkedAlone = "parked", c.ParkedFor != ""
		j.ParkedAt, j.ParkedClass, j.ParkedReason = instant(c.ParkedAt), c.ParkedClass, c.ParkedReason
	}
	return j
}

// listConnections shows what is configured and what the database knows of it. One that is only in the database is
// shown too: its consents and rows are still there.
func (a *app) listConnections(ctx context.Context, h *house) error {
	known, err := h.Store.Connections(ctx)
	if err != nil {
		return err
	}
	rows := map[string]connectionJSON{}
	for name, set := range h.Config.Connections {
		rows[name] = connectionJSON{Name: name, Provider: set.Provider, State: "unused"}
	}
	for _, c := range known {
		rows[c.Name] = toConnectionJSON(h.asConfigured(c))
	}
	t := newTable("~name", "provider", "state", "since", "~reason")
	for _, name := range sortedKeys(rows) {
		c := rows[name]
		if a.json {
			if err := a.line(c); err != nil {
				return err
			}
			continue
		}
		since := ""
		if c.ParkedAt != nil {
			since = clock(*c.ParkedAt)
		}
		t.add(c.Name, c.Provider, c.State, since, c.ParkedReason)
	}
	t.write(a.out)
	return nil
}

func (a *app) parkConnection(ctx context.Context, h *house, name, reason string) error {
	provider, err := h.provider(name)
	if err != nil {
		return err
	}
	if err := h.Store.UpsertConnection(ctx, name, provider.Name); err != nil {
		return err
	}
	first, err := h.Store.ParkConnection(ctx, name, finance.Refused, "by an operator: "+reason)
	if err != nil {
		return err
	}
	c, err := h.Store.ConnectionByName(ctx, name)
	switch {
	case err != nil:
		return err
	case a.json:
		return a.document(toConnectionJSON(c))
	case first:
		a.say("Connection %s is parked. `syncer connections open %s` uses it again.", name, name)
	default:
		a.say("Connection %s was parked already, since %s: %s", name, clock(c.ParkedAt), printable(c.ParkedReason))
	}
	return nil
}

func (a *app) openConnection(ctx context.Context, h *house, name string) error {
	c, err := h.Store.ConnectionByName(ctx, name)
	if errors.Is(err, persist.ErrNotFound) {
		return fmt.Errorf("no connection %q has been used yet: `syncer connections list` shows what there is", name)
	}
	if err != nil {
		return err
	}
	if err := h.Store.OpenConnection(ctx, name); err != nil {
		return fmt.Errorf("open connection %s: %w", name, err)
	}
	c = h.asConfigured(c)
	if !c.Parked && len(c.Refused) > 0 { // it is opened for other credentials than the configured ones
		c = c.For(c.Refused[0].Credentials)
	}
	was := c.Parked
	c.Parked = false
	switch {
	case a.json:
		return a.document(toConnectionJSON(c))
	case was:
		a.say("Connection %s is open; it was parked since %s: %s", name, clock(c.ParkedAt), printable(c.ParkedReason))
	default:
		a.say("Connection %s was open already.", name)
	}
	return nil
}
