package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) resumeCommand() *cobra.Command {
	var reason string
	resume := &cobra.Command{
		Use: "resume NAME --reason TEXT", Short: "End a pause of days that the provider can't have meant", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Ends the pauses of a connection that are longer than a day, such as one until 2036 from a provider that wrote a\n" +
			"wrong date. One call asks, and the others wait for what it hears: if the provider tells to wait, that holds.\n" +
			"Ask the provider first: whoever calls inside a pause that was meant may be switched off. A shorter pause is waited\n" +
			"for. `syncer status` shows what is closed.",
		Example:           "  syncer connections resume ng-prod --reason 'their support says it was a mistake (case 4711)'",
		ValidArgsFunction: a.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: it is kept beside the pause that it ends")
			}
			return a.look(cmd.Context(), func(h *house) error { return a.resumeConnection(cmd.Context(), h, args[0], reason) })
		},
	}
	resume.Flags().StringVar(&reason, "reason", "", "why the pause can be ended; kept beside it")
	return resume
}

// resumedJSON is what `connections resume` has done.
type resumedJSON struct {
	Connection string     `json:"connection"`
	Ended      []gateJSON `json:"ended"`
	Closed     []gateJSON `json:"still_closed"`
}

func (a *app) resumeConnection(ctx context.Context, h *house, name, reason string) error {
	if _, err := h.provider(name); err != nil {
		return err
	}
	ended, err := h.Store.EndPauses(ctx, name, "by an operator: "+reason)
	if err != nil {
		return err
	}
	closed, err := h.Store.ClosedGates(ctx, name)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(resumedJSON{Connection: name, Ended: toGatesJSON(ended), Closed: toGatesJSON(closed)})
	}
	for _, g := range ended {
		a.say("%s is open; it was closed until %s: %s", printable(g.Name), clock(g.Until), printable(g.Reason))
	}
	for _, g := range closed {
		a.say("%s stays closed until %s: %s", printable(g.Name), clock(g.Until), printable(g.Reason))
	}
	switch {
	case len(ended) > 0:
		a.say("Parked batches go on within %s. One call asks; what the provider answers decides.",
			took(h.Config.Worker.Sweep.Std()))
	case len(closed) == 0:
		a.say("Nothing of connection %s is closed.", name)
	default:
		a.say("Nothing of connection %s is closed for longer than %s, so nothing was done: a pause is the provider's word.",
			name, took(persist.LongPause))
	}
	return nil
}

// gateJSON is a gate that is closed.
type gateJSON struct {
	Gate       string     `json:"gate"`
	Connection string     `json:"connection"`
	Alone      bool       `json:"alone"` // of one consent or account, and nobody else
	Until      *time.Time `json:"until"`
	Left       float64    `json:"left_seconds"`
	Reason     string     `json:"reason"`
	Call       string     `json:"call,omitempty"` // that was told
}

func toGatesJSON(gates []persist.ClosedGate) []gateJSON {
	list := []gateJSON{}
	for _, g := range gates {
		j := gateJSON{
			Gate: g.Name, Connection: g.Connection, Alone: g.Alone, Until: instant(g.Until), Left: g.Left.Seconds(), Reason: g.Reason,
		}
		if !g.Call.IsZero() {
			j.Call = g.Call.String()
		}
		list = append(list, j)
	}
	return list
}
