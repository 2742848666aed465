package consents

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// mergeByKey makes the merge look each consent up by its key. What the planner knows of consents is as
// old as the last ANALYZE; right after a large import it takes the table for small and reads it once for
// every row of the next one, which took minutes for 100,000 beside 20,000.
const mergeByKey = `SET LOCAL enable_nestloop = on;
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_hashjoin = off;
	SET LOCAL enable_mergejoin = off`

// mergeImport writes the imported rows into the consents, but for those that it takes out.
func mergeImport(ctx context.Context, tx pgx.Tx, connection string, rules importRules,
	r *ImportResult) error {
	if _, err := tx.Exec(ctx, mergeByKey); err != nil {
		return err
	}
	refused, err := refuseImported(ctx, tx, connection, rules.keep)
	if err != nil {
		return err
	}
	r.Refused = append(r.Refused, refused...)
	if !rules.replace {
		if refused, err = refuseOthers(ctx, tx, connection); err != nil {
			return err
		}
		r.Refused = append(r.Refused, refused...)
	}
	over, err := leaveOutOver(ctx, tx, connection, rules.keep)
	if err != nil {
		return err
	}
	r.Over += over
	var bound []int64
	var inserted, updated, revived, ended int
	row := tx.QueryRow(ctx, mergeImported, pgx.NamedArgs{
		"connection": connection,
		"keep":       rules.keep,
		"replace":    rules.replace,
	})
	if err := row.Scan(&inserted, &updated, &revived, &ended, &bound); err != nil {
		return pg.Describe(err)
	}
	r.Inserted += inserted
	r.Updated += updated
	r.Revived += revived
	r.Ended += ended
	return countReads(ctx, tx, bound)
}

// overByList says of an imported row i that its valid_until has passed.
const overByList = `'valid_until' <> ALL (@keep)
	AND coalesce(i.valid_until <= now(), false)`

// refuseImported takes out the rows whose window would be none: what a row does not tell of it stands in
// the consents, or is now.
func refuseImported(ctx context.Context, tx pgx.Tx, connection string,
	keep []string) ([]RefusedImport, error) {
	rows, err := tx.Query(ctx, `WITH bad AS (
			DELETE FROM imported i
			WHERE NOT (`+overByList+`)
			AND (i.valid_until IS NOT NULL OR 'valid_until' = ANY (@keep))
			AND CASE
					WHEN 'valid_until' <> ALL (@keep) THEN i.valid_until
					ELSE coalesce((SELECT c.valid_until FROM consents c
						WHERE c.connection = @connection AND c.external_id = i.external_id), i.valid_until)
				END <= coalesce(i.valid_from, (SELECT c.valid_from FROM consents c
					WHERE c.connection = @connection AND c.external_id = i.external_id), now())
			RETURNING place
		)
		SELECT place, 'valid_until does not lie after the valid_from that is known'
		FROM bad
		ORDER BY place`, pgx.NamedArgs{"connection": connection, "keep": keep})
	if err != nil {
		return nil, pg.Describe(err)
	}
	var list []RefusedImport
	list, err = pgx.AppendRows(list, rows, pgx.RowToStructByPos[RefusedImport])
	return list, pg.Describe(err)
}

// refuseOthers takes out the rows whose national id is another person's than the one that is known: that
// person's data would end up beside somebody else's.
func refuseOthers(ctx context.Context, tx pgx.Tx, connection string) ([]RefusedImport, error) {
	rows, err := tx.Query(ctx, `WITH bad AS (
			DELETE FROM imported i USING consents c
			WHERE c.connection = @connection
			AND c.external_id = i.external_id
			AND c.subject_hmac <> i.hmac
			RETURNING i.place, c.id
		)
		SELECT place, 'the national id is another person''s than that of consent ' || id
			|| ', which has this external_id; --replace-national-ids takes it all the same'
		FROM bad
		ORDER BY place`, pgx.NamedArgs{"connection": connection})
	if err != nil {
		return nil, pg.Describe(err)
	}
	refused, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RefusedImport])
	return refused, pg.Describe(err)
}

// leaveOutOver takes out the rows that are over and of which no consent is known.
func leaveOutOver(ctx context.Context, tx pgx.Tx, connection string, keep []string) (int, error) {
	tag, err := tx.Exec(ctx, `DELETE FROM imported i
		WHERE `+overByList+`
		AND NOT EXISTS (
			SELECT FROM consents c WHERE c.connection = @connection AND c.external_id = i.external_id
		)`, pgx.NamedArgs{"connection": connection, "keep": keep})
	return int(tag.RowsAffected()), pg.Describe(err)
}

// mergeImported compares all but the sealed number, which differs with every sealing; it is replaced
// only where the subject is another one (@replace: or is wanted anew), or where it was kept in one form and is
// wanted in the other. An import that names no subject keeps the one that is known.
//
// One that names no number of reads has the connection's.
//
// A row is silent on valid_until where it says what the list has said before: then what a feed or a
// grant has said since stays, or a list that nobody keeps up would end each night what was given again.
//
// A valid_until that has passed may lie before the valid_from that is known, where the table can't have
// it: then the consent keeps its own, and listed_until has what was told.
const mergeImported = `WITH told AS (
	SELECT c.id, c.status, i.*,
		coalesce(i.hmac, c.subject_hmac) AS new_hmac,
		CASE WHEN i.hmac IS NULL OR (NOT @replace AND i.hmac = c.subject_hmac
				AND i.sealed IS NOT NULL AND c.subject_sealed IS NOT NULL)
			THEN c.subject_sealed ELSE i.sealed END AS new_sealed,
		coalesce(i.valid_from, c.valid_from) AS new_from,
		CASE WHEN 'purpose' = ANY (@keep) THEN c.purpose ELSE i.purpose END AS new_purpose,
		CASE WHEN 'scopes' = ANY (@keep) THEN c.scopes ELSE i.scopes END AS new_scopes,
		CASE WHEN x.silent THEN c.valid_until ELSE i.valid_until END AS told_until,
		CASE WHEN 'single_use' = ANY (@keep) OR i.use_untold THEN c.single_use ELSE i.single_use END AS new_once,
		CASE WHEN 'reads_per_day' <> ALL (@keep) THEN i.reads_per_day
			WHEN NOT c.reads_of_connection THEN c.reads_per_day END AS own_reads,
		c.reads_per_day AS had_reads,
		n.reads_per_day AS usual_reads,
		c.valid_until AS had_until,
		c.listed_until AS had_listed,
		x.silent,
		NOT x.silent AND coalesce(i.valid_until <= now(), false) AS over,
		coalesce(i.valid_from <> c.valid_from, false)
			OR NOT x.silent
				AND (c.listed_until IS NOT NULL OR i.valid_until IS DISTINCT FROM c.valid_until) AS another
	FROM imported i
	JOIN consents c ON c.connection = @connection AND c.external_id = i.external_id
	JOIN connections n ON n.name = c.connection
	CROSS JOIN LATERAL (SELECT 'valid_until' = ANY (@keep)
		OR coalesce(c.listed_until = coalesce(i.valid_until, 'infinity'), false) AS silent) x
), known AS (
	SELECT t.*,
		coalesce(t.own_reads, t.usual_reads) AS new_reads,
		t.own_reads IS NULL AND t.usual_reads IS NOT NULL AS new_follows,
		CASE WHEN t.over AND t.told_until <= t.new_from THEN t.had_until ELSE t.told_until END AS new_until,
		CASE WHEN t.silent THEN t.had_listed
			WHEN t.over AND t.told_until <= t.new_from THEN t.told_until END AS new_listed,
		t.over AND t.status IN ('active', 'suspected') AS ends,
		t.status IN ('expired', 'reauth_required', 'suspected') AND t.another
			AND NOT t.over
			AND coalesce(t.told_until > clock_timestamp(), true) AS revive
	FROM told t
), updated AS (
	UPDATE consents c SET
		subject_hmac = k.new_hmac,
		subject_sealed = k.new_sealed,
		purpose = k.new_purpose,
		scopes = k.new_scopes,
		valid_from = k.new_from,
		valid_until = k.new_until,
		single_use = k.new_once,
		reads_per_day = k.new_reads,
		reads_of_connection = k.new_follows,
		listed_until = k.new_listed,
		status = CASE WHEN k.revive THEN 'active' WHEN k.ends THEN 'expired' ELSE c.status END,
		ended_at = CASE WHEN k.revive THEN NULL WHEN k.ends THEN clock_timestamp() ELSE c.ended_at END,
		ended_reason = CASE WHEN k.revive THEN NULL WHEN k.ends THEN 'its valid_until in the list has passed'
			ELSE c.ended_reason END,
		suspected_at = CASE WHEN NOT k.revive THEN c.suspected_at END,
		suspected_until = CASE WHEN NOT k.revive AND NOT k.ends THEN c.suspected_until END,
		suspected_as = CASE WHEN NOT k.revive AND NOT k.ends THEN c.suspected_as END,
		suspected_reason = CASE WHEN NOT k.revive AND NOT k.ends THEN c.suspected_reason END,
		suspected_dataset = CASE WHEN NOT k.revive AND NOT k.ends THEN c.suspected_dataset END,
		suspected_times = CASE WHEN k.revive THEN 0 ELSE c.suspected_times END,
		held_at = CASE WHEN NOT k.revive AND NOT k.ends THEN c.held_at END,
		held_told = c.held_told AND NOT k.revive AND NOT k.ends
	FROM known k
	WHERE c.id = k.id
	AND (
		k.revive
		OR k.ends
		OR (c.subject_hmac, c.subject_sealed, c.purpose, c.scopes, c.valid_from, c.valid_until, c.single_use,
			c.reads_per_day, c.reads_of_connection)
		IS DISTINCT FROM
		(k.new_hmac, k.new_sealed, k.new_purpose, k.new_scopes, k.new_from, k.new_until, k.new_once,
			k.new_reads, k.new_follows)
	)
	RETURNING c.id, k.revive, k.ends, k.status AS was,
		k.had_reads IS NULL AND k.new_reads IS NOT NULL AS bound
), inserted AS (
	INSERT INTO consents (connection, external_id, subject_hmac, subject_sealed, purpose, scopes,
		valid_from, valid_until, single_use,
		reads_per_day, reads_of_connection)
	SELECT @connection, i.external_id, i.hmac, i.sealed, i.purpose, i.scopes,
		coalesce(i.valid_from, now()), i.valid_until, i.single_use,
		coalesce(i.reads_per_day, n.reads_per_day), i.reads_per_day IS NULL AND n.reads_per_day IS NOT NULL
	FROM imported i
	LEFT JOIN connections n ON n.name = @connection
	WHERE NOT EXISTS (SELECT FROM consents c WHERE c.connection = @connection AND c.external_id = i.external_id)
	RETURNING id
), history AS (
	INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
	SELECT id, 'import', NULL, 'active', '' FROM inserted
	UNION ALL
	SELECT id, 'import', was, 'active', 'imported again' FROM updated WHERE revive
	UNION ALL
	SELECT id, 'import', was, 'expired', 'its valid_until in the list has passed' FROM updated WHERE ends
)
SELECT (SELECT count(*) FROM inserted),
	(SELECT count(*) FROM updated),
	(SELECT count(*) FROM updated WHERE revive),
	(SELECT count(*) FROM updated WHERE ends),
	ARRAY(SELECT id FROM updated WHERE bound)`
