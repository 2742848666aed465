package consents

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// renewalLine is an imported row that renews a consent.
type renewalLine struct {
	line         int
	id, renews   string
	hmac, sealed []byte
	purpose      string
	scopes       []string
	from, until  *time.Time
	single       bool
	useUnknown   bool
	reads        *int32
}

const makeRenewing = `CREATE TEMP TABLE renewing ON COMMIT DROP AS SELECT * FROM imported LIMIT 0`

// takeOutRenewals takes the rows out that are no consents of their own: those that renew one, those of an id that a
// renewal waits for, and those of an id that a consent had before. These change nothing: a list may carry an old id
// for a while. A row of the id in force is as any other, whatever it renews.
//
// any is false where there are none, as in most lists.
func takeOutRenewals(ctx context.Context, tx pgx.Tx, connection string) (any bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM consent_ids WHERE connection = $1)
		OR EXISTS (SELECT FROM imported WHERE renews <> '')`, connection).Scan(&any)
	if err != nil || !any {
		return false, pg.Describe(err)
	}
	if _, err := tx.Exec(ctx, makeRenewing); err != nil {
		return false, pg.Describe(err)
	}
	_, err = tx.Exec(ctx, `WITH other AS (
			SELECT i.place, c.external_id AS present,
				EXISTS (
					SELECT FROM renewals r
					WHERE r.consent_id = c.id
					AND r.new_id = i.external_id
					AND r.state IN ('waiting', 'refused')
					AND r.id = (SELECT max(l.id) FROM renewals l WHERE l.consent_id = c.id)
				) AS coming
			FROM imported i
			JOIN consent_ids k ON k.connection = $1 AND k.external_id = i.external_id
			JOIN consents c ON c.id = k.consent_id
			WHERE c.external_id <> i.external_id
		), same AS (
			SELECT i.place
			FROM imported i
			JOIN consents c ON c.connection = $1 AND c.external_id = i.external_id
			JOIN consent_ids k ON k.connection = $1 AND k.external_id = i.renews AND k.consent_id = c.id
			WHERE i.renews <> i.external_id
		), gone AS (
			DELETE FROM imported i
			WHERE (i.renews <> '' AND i.place NOT IN (SELECT place FROM same))
			OR i.place IN (SELECT place FROM other)
			RETURNING i.*
		)
		INSERT INTO renewing
		SELECT g.place, g.external_id, g.hmac, g.sealed, g.purpose, g.scopes, g.valid_from, g.valid_until,
			g.single_use, g.use_untold, g.reads_per_day,
			coalesce(nullif(g.renews, ''), CASE WHEN o.coming THEN o.present END, '')
		FROM gone g
		LEFT JOIN other o USING (place)`, connection)
	return true, pg.Describe(err)
}

// inOrder puts a row behind the one that it renews, and refuses those of which that can't be done.
func (w *renewing) inOrder(lines []renewalLine) []renewalLine {
	byID := map[string]int{}   // the row of each id
	taken := map[string]bool{} // ids that a row renews
	for i := range lines {
		byID[lines[i].id] = i
	}
	refuse := func(l *renewalLine, why string) {
		w.r.Refused = append(w.r.Refused, RefusedImport{l.line, why})
	}
	done := make([]bool, len(lines))
	var ordered []renewalLine
	for i := range lines {
		switch {
		case lines[i].id == lines[i].renews:
			refuse(&lines[i], "renews is its own external_id: write the id that the consent had before")
			done[i] = true
		case taken[lines[i].renews]:
			refuse(&lines[i], "an earlier line renews the same consent: keep the one that is newer")
			done[i] = true
		default:
			taken[lines[i].renews] = true
		}
	}
	for i := range lines {
		var chain []int
		for j, ok := i, true; ok && !done[j]; j, ok = byID[lines[j].renews] {
			if slices.Contains(chain, j) {
				for _, k := range chain {
					refuse(&lines[k], "renews leads back to this line: one of these must be the first consent, "+
						"and renew nothing")
					done[k] = true
				}
				chain = nil
				break
			}
			chain = append(chain, j)
		}
		for _, j := range slices.Backward(chain) {
			ordered = append(ordered, lines[j])
			done[j] = true
		}
		done[i] = true
	}
	return ordered
}
