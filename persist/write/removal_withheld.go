package write

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"syncer/persist/pg"
)

const withholdRows = `INSERT INTO absences
	(consent_id, kind, account_id, record_id, call_id, run_id, withheld_by, withheld_call)
SELECT $1, $2, u.account_id, u.record_id, $3, $4, $5, $3
FROM unnest($6::text[], $7::text[]) AS u(account_id, record_id)
ON CONFLICT (consent_id, kind, account_id, record_id)
DO UPDATE SET withheld_by = excluded.withheld_by, withheld_call = excluded.withheld_call`

// withholdFrom writes down rows that stay although they are known to be gone.
func withholdFrom[T any](ctx context.Context, a *attempt, p *page, k *kind[T], list []missingRow, by int64) error {
	accounts, records := missingKeys(list)
	_, err := a.tx.Exec(ctx, withholdRows, p.Stream.Consent, k.table, [16]byte(p.Call.ID), pg.NullInt(p.Task.Run), by,
		accounts, records)
	if err != nil {
		return fmt.Errorf("withhold removals from %s: %w", k.table, pg.Describe(err))
	}
	p.written.Withheld += len(list)
	a.noted[p.Stream.Consent] = true
	return nil
}

const saveGuard = `UPDATE removal_guards
SET consents = $3,
	lost = $4,
	records = $5,
	asked = $6,
	asked_records = $7,
	closed_at = CASE WHEN $8 THEN coalesce(closed_at, clock_timestamp()) END,
	reason = CASE WHEN $8 THEN $9 END
WHERE run_id = $1
AND dataset = $2`

// saveGuards writes what was counted, and on the cursors what the streams lack.
func (a *attempt) saveGuards(ctx context.Context) error {
	saved := map[*removalGuard]bool{}
	for g := range maps.Values(a.guards) {
		if !g.changed || saved[g] {
			continue
		}
		saved[g] = true
		_, err := a.tx.Exec(ctx, saveGuard, g.root, string(g.dataset), g.consents, g.lost, g.records, g.asked, g.existed,
			g.closed, g.reason)
		if err != nil {
			return fmt.Errorf("save the guard of removals: %w", pg.Describe(err))
		}
	}
	return a.noteWithheld(ctx)
}

const noteWithheld = `UPDATE cursors c
SET lacks = CASE
	WHEN strpos(c.lacks, $5) > 0 THEN c.lacks
	ELSE concat_ws('; ', c.lacks, $5::text)
	END
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) AS u(consent_id, dataset, account_id, span)
WHERE c.consent_id = u.consent_id
AND c.dataset = u.dataset
AND c.account_id = u.account_id
AND c.span = u.span`

// noteWithheld notes on the cursors, which are ours, that the streams lack the truth: who goes on with the item after a
// kill must not call it proven.
func (a *attempt) noteWithheld(ctx context.Context) error {
	var m streamMoves
	for _, p := range a.live {
		if p.written.Withheld == 0 {
			continue
		}
		m.consent = append(m.consent, p.Stream.Consent)
		m.dataset = append(m.dataset, string(p.Stream.Dataset))
		m.account = append(m.account, p.Stream.Account)
		m.span = append(m.span, p.Stream.Span)
	}
	if len(m.consent) == 0 {
		return nil
	}
	if _, err := a.tx.Exec(ctx, noteWithheld, append(m.args(), RemovalsWithheld)...); err != nil {
		return fmt.Errorf("note on the cursors what is withheld: %w", pg.Describe(err))
	}
	return nil
}

// tellClosed tells the log of guards that are closed, once for each whoever closed it: a process that was killed behind
// its COMMIT could not.
func (a *attempt) tellClosed(ctx context.Context) {
	if len(a.guards) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
	defer cancel()
	guards := slices.Collect(maps.Values(a.guards))
	slices.SortFunc(guards, func(x, y *removalGuard) int { return cmp.Compare(x.dataset, y.dataset) })
	for _, g := range guards {
		if !g.toTell {
			continue
		}
		g.toTell = false
		tag, err := a.pool.Exec(ctx, `UPDATE removal_guards SET told_at = clock_timestamp()
			WHERE run_id = $1 AND dataset = $2 AND told_at IS NULL`, g.root, string(g.dataset))
		if err == nil && tag.RowsAffected() == 0 {
			continue
		}
		a.guard.Log.Error().Int64("run", g.root).Str("dataset", string(g.dataset)).Str("reason", g.reason).
			Msgf("removals withheld: more has gone than one night explains, so nothing more is removed in this run; "+
				"ask the provider, then `syncer removals accept %d` or `syncer removals undo %d`", g.root, g.root)
	}
}
