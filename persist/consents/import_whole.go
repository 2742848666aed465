package consents

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// importRules are how an import goes.
type importRules struct {
	keep  []string
	whole bool
	named []string
	ends  int

	replace bool // the subjects that are known
	again   bool // renewals that were refused
}

// ImportOption changes how an import goes.
type ImportOption func(*importRules)

// Keep names the columns of which the list says nothing (purpose, scopes, valid_until, single_use,
// reads_per_day): a consent that is known keeps what it has there. A subject and a valid_from that are
// not told are kept always.
func Keep(columns ...string) ImportOption {
	return func(r *importRules) { r.keep = append(r.keep, columns...) }
}

// Besides names consents by their external ids that stand in the list, in lines that can't be imported.
func Besides(named ...string) ImportOption {
	return func(r *importRules) { r.named = append(r.named, named...) }
}

// ReplaceSubjects lets a national id in the list replace the one that is known. Without it a row with
// another person's is left out and named, and a sealed number that is known stays as it is.
func ReplaceSubjects() ImportOption { return func(r *importRules) { r.replace = true } }

// Whole says that the list is whole: active consents of the connection that it does not name are
// revoked. When they are too many for a list that may have been cut, more than a fifth of all and at
// least five, that is done only if ends is their exact number; -1 gives none.
func Whole(ends int) ImportOption {
	return func(r *importRules) { r.whole, r.ends = true, ends }
}

// tooMany says whether so many of the active consents are more than a whole list ends by itself.
func tooMany(unnamed, active int) bool { return unnamed >= 5 && unnamed*5 > active }

// findUnnamed keeps in a table of its own the consents that the list does not name and that have not ended, or are to go on
// under another id. An id in other letter case is a name too, and so is every id that a consent had, or is to have.
const findUnnamed = `CREATE TEMP TABLE unnamed ON COMMIT DROP AS
	WITH names AS (
		SELECT lower(i.external_id) AS name FROM imported i
		UNION ALL
		SELECT lower(i.renews) FROM imported i
		UNION ALL
		SELECT lower(n) FROM unnest($2::text[]) AS n
	)
	SELECT c.id FROM consents c
	WHERE c.connection = $1
	AND (
		c.status IN ('active', 'suspected')
		OR EXISTS (SELECT FROM renewals r WHERE r.consent_id = c.id AND r.state = 'waiting')
	)
	AND NOT EXISTS (SELECT FROM names x WHERE x.name = lower(c.external_id))
	AND NOT EXISTS (
		SELECT FROM consent_ids k JOIN names x ON x.name = lower(k.external_id)
		WHERE k.consent_id = c.id
	)`

// refuseAlike takes out the rows whose external id is that of a consent, or of an earlier row, but for
// the case of its letters. Imported, they would load everything a second time. Where there is a consent
// of this very id it is meant.
const refuseAlike = `WITH known AS (
		SELECT name, min(id) AS id
		FROM (
			SELECT lower(c.external_id) AS name, c.id FROM consents c WHERE c.connection = $1
			UNION ALL
			SELECT lower(k.external_id), k.consent_id FROM consent_ids k WHERE k.connection = $1
		) ids
		GROUP BY 1
	), first AS (
		SELECT lower(i.external_id) AS name, min(i.place) AS place FROM imported i
		GROUP BY 1
	), bad AS (
		SELECT i.place, k.id FROM imported i
		JOIN first f ON f.name = lower(i.external_id)
		LEFT JOIN known k ON k.name = lower(i.external_id)
		WHERE (k.id IS NOT NULL OR f.place < i.place)
		AND NOT EXISTS (SELECT FROM consents c WHERE c.connection = $1 AND c.external_id = i.external_id)
		AND NOT EXISTS (SELECT FROM consent_ids c WHERE c.connection = $1 AND c.external_id = i.external_id)
	), gone AS (
		DELETE FROM imported i USING bad WHERE i.place = bad.place
	)
	SELECT place, coalesce('consent ' || id, 'an earlier line')
		|| ' has this external_id in other letter case: write it as the provider does'
	FROM bad ORDER BY place`

// compareAll compares the imported rows with all consents of the connection, which is read as a whole:
// it finds those that the list does not name, and takes out the rows that are alike.
func compareAll(ctx context.Context, tx pgx.Tx, connection string, rules importRules, r *ImportResult) error {
	if _, err := tx.Exec(ctx, pg.JoinByHash); err != nil {
		return err
	}
	// Arguments can't go into a CREATE TABLE, unless they are written into it: the simple protocol does that.
	_, err := tx.Exec(ctx, findUnnamed, pgx.QueryExecModeSimpleProtocol, connection, pg.NotNull(rules.named))
	if err != nil {
		return pg.Describe(err)
	}
	err = tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM unnamed),
		(SELECT count(*) FROM consents WHERE connection = $1 AND status IN ('active', 'suspected'))`,
		connection).Scan(&r.Unnamed, &r.Active)
	if err != nil {
		return err
	}
	if r.Unnamed == 0 {
		r.Active = 0
	}
	rows, err := tx.Query(ctx, refuseAlike, connection)
	if err != nil {
		return pg.Describe(err)
	}
	r.Refused, err = pgx.AppendRows(r.Refused, rows, pgx.RowToStructByPos[RefusedImport])
	return pg.Describe(err)
}

// endUnnamed ends the consents that a whole list does not name.
func endUnnamed(ctx context.Context, tx pgx.Tx, rules importRules, r *ImportResult) error {
	switch {
	case !rules.whole || r.Unnamed == 0:
		return nil
	case rules.ends >= 0 && rules.ends != r.Unnamed:
		return nil
	case rules.ends < 0 && tooMany(r.Unnamed, r.Active):
		return nil
	}
	_, err := tx.Exec(ctx, `WITH was AS (
			SELECT c.id, c.status
			FROM consents c
			WHERE c.id IN (SELECT id FROM unnamed)
			AND c.status IN ('active', 'suspected')
			FOR NO KEY UPDATE
		), ended AS (
			UPDATE consents c SET status = 'revoked',
				ended_at = clock_timestamp(),
				ended_reason = $1, `+endSuspicion+`
			FROM was
			WHERE c.id = was.id
			RETURNING c.id, was.status AS was
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT id, clock_timestamp(), 'import', was, 'revoked', $1 FROM ended`,
		"the list of its owner does not name it any more")
	if err != nil {
		return pg.Describe(err)
	}
	ids, err := pg.IDs(ctx, tx, "SELECT id FROM unnamed")
	if err != nil {
		return err
	}
	r.Dropped = len(ids)
	return withdrawRenewals(ctx, tx, "the list of its owner does not name the consent any more", ids...)
}
