package write

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"syncer/finance"
)

// stagedPass is what the passes of the streams cover together.
type stagedPass struct {
	done, incomplete int
	whole, dated     bool
	first            string // day
	any              bool   // something is staged
	reserved         bool   // a window shows the reservations of now, which need have no day
}

// load loads what the passes cover, and the call that ended the last of them. A pass counts only if it was staged from its
// first page on, with which its day is noted: else what it had written before would be missing from it.
func (x *replacing) load(ctx context.Context) error {
	p := &x.pass
	err := x.tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE done AND since IS NOT NULL),
			count(*) FILTER (WHERE lacks),
			coalesce(bool_and(whole), false),
			coalesce(bool_and(dated), false),
			coalesce(min(coalesce(given, since))::text, ''),
			EXISTS (SELECT FROM `+StagedTables(x.Change.Dataset)[0]+` s WHERE `+staged+`)
		FROM key_passes k
		WHERE `+passes, x.args).Scan(&p.done, &p.incomplete, &p.whole, &p.dated, &p.first, &p.any)
	if err != nil {
		return err
	}
	var call *[16]byte
	err = x.tx.QueryRow(ctx, `SELECT (
			SELECT call_id
			FROM cursors k
			WHERE `+passes+`
			ORDER BY moved_at DESC
			LIMIT 1
		)`, x.args).Scan(&call)
	x.args["call"] = call
	return err
}

// missing says what keeps the passes from replacing anything; empty: nothing.
func (x *replacing) missing() string {
	const stay = "; until a whole pass the rows with the old key stay as they are"
	switch p := x.pass; {
	case p.done < len(x.Accounts):
		return fmt.Sprintf("the key has changed, and %d of %d accounts have not been read under the new one yet"+stay,
			len(x.Accounts)-p.done, len(x.Accounts))
	case x.Last:
		return ""
	case p.incomplete > 0:
		return "the key has changed, and what was read under the new one lacks something" + stay
	case x.Whole && !p.whole:
		return "the key has changed, and what was read under the new one is not proven whole" + stay
	}
	return ""
}

// loadDays finds out which booking days the passes cover. A day of which they have brought a record is covered, too: an API
// may show more than it was asked for.
func (x *replacing) loadDays(ctx context.Context) error {
	p := x.pass
	asked := "{}"
	from, to, window := strings.Cut(x.Span, "..")
	switch {
	case x.Change.Dataset != finance.Transactions || p.whole:
		asked = "{(,)}"
	case window:
		asked = "{[" + cmp.Or(p.first, from) + "," + to + "]}"
	case p.dated:
		asked = "{[" + p.first + ",)}"
	case p.any: // it is not asked for by days: as far back as it shows
		var first *string
		err := x.tx.QueryRow(ctx, `SELECT min(booked_on)::text
			FROM staged_transactions s
			WHERE `+staged, x.args).Scan(&first)
		if err != nil {
			return err
		}
		if first != nil {
			asked = "{[" + *first + ",)}"
		}
	}
	x.args["days"], x.args["to"] = asked, cmp.Or(to, "infinity")
	if x.Change.Dataset != finance.Transactions {
		return nil
	}
	// The day before today may be today for the provider.
	err := x.tx.QueryRow(ctx, `SELECT @to::date >= current_date - 1 OR EXISTS (
			SELECT FROM staged_transactions s
			WHERE `+staged+`
				AND s.status = 'pending'
				AND s.booked_on IS NULL
		)`, x.args).Scan(&x.pass.reserved)
	if err != nil {
		return err
	}
	var days string
	err = x.tx.QueryRow(ctx, `SELECT (@days::datemultirange + coalesce(
			range_agg(daterange(s.booked_on, s.booked_on, '[]')) FILTER (WHERE s.booked_on IS NOT NULL),
			'{}'
		))::text
		FROM staged_transactions s
		WHERE `+staged, x.args).Scan(&days)
	x.args["days"] = days
	return err
}

// ofStreams are the rows t that may have old keys, of the days that are replaced.
func (x *replacing) ofStreams() string {
	if x.Change.Dataset != finance.Transactions {
		return "NOT isempty(@days::datemultirange)"
	}
	of := "t.booked_on <@ @days::datemultirange AND " + oldRow
	switch {
	case x.booked: // with those next to an edge that have kept their keys
		of = besides + " && @days::datemultirange AND " + oldRow
	case x.Span == "":
		of = "(" + of + " OR t.status = 'pending')"
	case x.pass.reserved:
		of = "(" + of + " OR t.status = 'pending' AND t.booked_on IS NULL)"
	}
	if x.Change.Account != "" {
		of += " AND t.account_id = @account"
	}
	return withEdges(of)
}

// oldRow is the condition that a row t of transactions was there before the keys were reset. One that came later has the new
// key, and a pass of other days does not show it.
const oldRow = "t.first_seen_at < @reset"

// besides are the days that a row t may have under the other key.
const besides = "daterange(t.booked_on - @moved::int4, t.booked_on + @moved::int4, '[]')"
