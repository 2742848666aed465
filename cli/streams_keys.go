package cli

import (
	"context"
	"errors"
	"fmt"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/streams"
	"syncer/report/text"
)

func (p *Program) resetKeys(ctx context.Context, inst *app.Installation, f streams.Filter, yes bool) error {
	if err := inst.CheckUsed(ctx, f.Connection); err != nil {
		return err
	}
	resets, err := inst.KeyResets(f.Connection, f.Dataset)
	if err != nil {
		return err
	}
	same, err := inst.Store.Streams.KeysAsStored(ctx, f.Connection, resets)
	if err != nil {
		return err
	}
	if same {
		return usagef("nothing has been done: the key of %s over connection %s has not changed. Change the description first, "+
			"then give this command", f.Dataset, f.Connection)
	}
	var names []string
	for _, r := range resets {
		names = append(names, string(r.Dataset))
	}
	cost, err := inst.Store.Streams.KeyResetCost(ctx, f.Connection, resets)
	if err != nil {
		return err
	}
	if !yes {
		if err := p.tellKeyReset("plan", names, cost); err != nil {
			return err
		}
		return usagef("nothing has been done: say --yes if that is meant")
	}
	var did streams.ResetCost
	err = inst.Store.Acting(ctx, p.act("connection", f.Connection),
		func(s *persist.Store, act *persist.Act) (err error) {
			did, err = s.Streams.ResetKeys(ctx, f.Connection, resets)
			act.Details = map[string]any{"keys": names, "streams": did.Streams, "consents": did.Consents}
			return err
		})
	if busy, ok := errors.AsType[*streams.StreamsBusyError](err); ok {
		return busyReset(busy)
	}
	if err != nil {
		return err
	}
	return p.tellKeyReset("reset", names, did)
}

// tellKeyReset says what becomes of the rows, and what that costs.
func (p *Program) tellKeyReset(event string, datasets []string, c streams.ResetCost) error {
	if !p.json {
		are := "would be"
		if event == "reset" {
			are = "are"
		}
		p.say("The keys of %s %s those that are configured now. The rows stay as they are\n"+
			"until a whole pass under the new keys replaces them, stream by stream, in one commit.", text.List(datasets), are)
	}
	if !p.json && c.Streams == 0 {
		p.say("Their streams have no position to forget: they are read from the beginning anyway.")
		return nil
	}
	return p.tellReset(event, c)
}

func busyReset(busy *streams.StreamsBusyError) error {
	return fmt.Errorf("%w, so nothing has been done: wait until `syncer runs show %d` has a verdict, "+
		"or stop who works it", busy, busy.Run)
}
