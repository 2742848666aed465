package app

import (
	"context"
	"fmt"
	"time"

	"syncer/jobs"
	"syncer/persist/consents"
	"syncer/report/text"
)

// Spent is what became of the consents of a restored database.
type Spent struct {
	Told  jobs.SpentStatuses
	Taken consents.Spent
}

// Details are its numbers by name.
func (s Spent) Details() map[string]any {
	return map[string]any{
		"asked": s.Told.Asked, "unused": s.Told.Unused, "ended": s.Told.Ended,
		"consumed_unknown": s.Told.Unknown + s.Taken.SingleUse, "days_spent": s.Taken.Days,
	}
}

// Text says it to a person.
func (s Spent) Text() string {
	return fmt.Sprintf("Of single-use consents %s asked for: %s unused, %s over. Not to be told, and so consumed_unknown: %s. "+
		"The day's reads are taken for spent: of %s.",
		text.CountWas(s.Told.Asked), text.Thousands(s.Told.Unused), text.Thousands(s.Told.Ended),
		text.Thousands(s.Told.Unknown+s.Taken.SingleUse), text.Count(s.Taken.Days, "consent"))
}

// SpendRestored finds out which consents were used since the database was dumped, where providers tell, and takes the others
// for used. since is when it was noticed that the database is a restored copy.
func (inst *Installation) SpendRestored(ctx context.Context, since time.Time) (spent Spent, err error) {
	over, err := inst.Store.Consents.ConnectionsMayBeSpent(ctx)
	if err != nil {
		return spent, err
	}
	var known, asked []string
	for _, name := range over {
		if _, configured := inst.Config.Connections[name]; configured {
			known = append(known, name)
		}
	}
	engine, err := inst.Engine(ctx, EngineSpec{Connections: known})
	if err != nil {
		return spent, err
	}
	if err := engine.Start(ctx); err != nil {
		return spent, err
	}
	for _, name := range known {
		if !engine.TellsStatus(name) {
			continue
		}
		told, err := engine.AskSpent(ctx, name, since)
		spent.Told.Add(told)
		if err != nil {
			return spent, err
		}
		asked = append(asked, name)
	}
	spent.Taken, err = inst.Store.Consents.Spend(ctx, asked)
	return spent, err
}
