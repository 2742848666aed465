package write

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// A description may read the booking day in another way together with the key. Then the days of old rows say nothing of the
// days that the provider was asked for, and at the edges of these days a record would be there under both keys, or under none.
// So rows next to an edge are told apart by what else they hold. How far booking days have moved is taken from records that
// are there once under each key.

// unseenMove is for how many days next to an edge rows are compared where no record is there to tell.
const unseenMove = 3

// edgeRows are old booked rows, and new ones, that are not the same row; alike are those with the same money and text.
func (x *replacing) edgeRows() string {
	const alike = "(t.amount, t.currency, coalesce(t.text, ''))"
	account := ""
	if x.Change.Account != "" {
		account = "AND t.account_id = @account"
	}
	k := &transactionKind
	return `WITH old AS (
			SELECT t.account_id, t.transaction_id, t.booked_on AS day,
				` + alike + `::text AS what,
				t.booked_on <@ @days::datemultirange AS covered
			FROM transactions t
			WHERE t.consent_id = @consent
				AND t.removed_at IS NULL
				AND t.status = 'booked'
				AND t.booked_on IS NOT NULL
				AND ` + oldRow + `
				` + account + `
				AND NOT EXISTS (SELECT FROM staged_transactions s WHERE ` + staged + ` AND ` + k.alike("s", "t") + `)
		), new AS (
			SELECT DISTINCT ON (t.account_id, t.transaction_id) t.booked_on AS day,
				` + alike + `::text AS what
			FROM (SELECT s.* FROM staged_transactions s WHERE ` + staged + `) t
			WHERE t.status = 'booked'
				AND t.booked_on IS NOT NULL
				AND NOT EXISTS (
					SELECT FROM transactions o
					WHERE o.consent_id = @consent AND o.removed_at IS NULL AND ` + k.alike("o", "t") + `
				)
			ORDER BY t.account_id, t.transaction_id, t.n DESC
		), olds AS (
			SELECT what, count(*) FILTER (WHERE covered) AS n, min(day) FILTER (WHERE covered) AS day
			FROM old
			GROUP BY what
		), news AS (
			SELECT what, count(*) AS n, min(day) AS day
			FROM new
			GROUP BY what
		)
		`
}

// loadEdges finds the rows next to the edges that the passes replace although their day is not covered, and those that they do
// not replace although it is.
func (x *replacing) loadEdges(ctx context.Context) error {
	none := []string{}
	x.args["takenOf"], x.args["taken"], x.args["keptOf"], x.args["kept"] = none, none, none, none
	if x.Change.Dataset != finance.Transactions || x.args["days"] == "{(,)}" {
		return nil
	}
	moved, near, err := x.loadMove(ctx)
	if err != nil || near == 0 {
		return err
	}
	x.args["near"] = near
	// More new ones than old ones: some are the new form of a row outside. Fewer: some were not shown.
	err = x.edge(ctx, "taken", x.edgeRows()+`SELECT account_id, transaction_id
		FROM (
			SELECT old.*, news.n - olds.n AS many, row_number() OVER (PARTITION BY what ORDER BY old.day DESC) AS nth
			FROM old
			JOIN olds USING (what)
			JOIN news USING (what)
			WHERE NOT covered
				AND EXISTS (SELECT FROM new WHERE new.what = old.what AND abs(new.day - old.day) <= @near)
		) x
		WHERE nth <= many`)
	if err != nil || moved == 0 {
		return err
	}
	return x.edge(ctx, "kept", x.edgeRows()+`SELECT account_id, transaction_id
		FROM (
			SELECT old.*, olds.n - coalesce(news.n, 0) AS many, row_number() OVER (PARTITION BY what ORDER BY old.day) AS nth
			FROM old
			JOIN olds USING (what)
			LEFT JOIN news USING (what)
			WHERE covered
				AND NOT daterange(old.day - @near::int4, old.day + @near::int4, '[]') <@ @days::datemultirange
		) x
		WHERE nth <= many`)
}

// loadMove finds out by how many days booking days have moved, and remembers it for the other passes of the stream. near is
// for how many days next to an edge rows are compared.
func (x *replacing) loadMove(ctx context.Context) (moved, near int, err error) {
	var pairs, seen int
	err = x.tx.QueryRow(ctx, x.edgeRows()+`SELECT count(*), coalesce(max(abs(news.day - olds.day)), 0)
		FROM olds
		JOIN news USING (what)
		WHERE olds.n = 1 AND news.n = 1`, x.args).Scan(&pairs, &seen)
	if err != nil {
		return 0, 0, err
	}
	x.args["seen"] = seen
	err = x.tx.QueryRow(ctx, `UPDATE key_changes SET moved = greatest(moved, @seen)
		WHERE consent_id = @consent AND dataset = @dataset AND account_id = @account
		RETURNING moved`, x.args).Scan(&moved)
	if err == nil && pairs == 0 && moved == 0 {
		return 0, unseenMove, nil
	}
	return moved, moved, err
}

// edge loads the keys of rows into two arguments.
func (x *replacing) edge(ctx context.Context, name, sql string) error {
	rows, err := x.tx.Query(ctx, sql, x.args)
	if err != nil {
		return err
	}
	accounts := []string{}
	ids := []string{}
	var account, id string
	_, err = pgx.ForEachRow(rows, []any{&account, &id}, func() error {
		accounts = append(accounts, account)
		ids = append(ids, id)
		return nil
	})
	x.args[name+"Of"], x.args[name] = accounts, ids
	return err
}

// withEdges is a condition on rows t of transactions, with what loadEdges has found.
func withEdges(of string) string {
	const among = "(t.account_id, t.transaction_id) IN (SELECT * FROM unnest("
	return "(" + of + " AND NOT " + among + "@keptOf::text[], @kept::text[]))" +
		" OR " + among + "@takenOf::text[], @taken::text[])))"
}
