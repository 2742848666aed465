package consents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Again lets the list name a renewal that was refused or withdrawn: it is tried once more. Without it the same line
// changes nothing, however often it is imported, and no line brings back what was withdrawn.
func Again() ImportOption { return func(r *importRules) { r.again = true } }

// renewing are the rows of an import that renew consents, and what becomes of them.
type renewing struct {
	connection string
	rules      importRules
	list       []Import
	r          *ImportResult
	usual      *int32 // reads a day of the connection
	plain      []int  // rows that turn out to be no renewals

	counted map[int64]bool // consents that are among r.Renewing
}

// mergeRenewals does what the rows that renew consents ask for.
func mergeRenewals(ctx context.Context, tx pgx.Tx, w *renewing) error {
	rows, err := tx.Query(ctx, `SELECT place, external_id, renews, hmac, sealed, purpose, scopes, valid_from, valid_until,
		single_use, use_untold, reads_per_day FROM renewing WHERE renews <> '' ORDER BY place`)
	if err != nil {
		return pg.Describe(err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l renewalLine, err error) {
		err = row.Scan(&l.line, &l.id, &l.renews, &l.hmac, &l.sealed, &l.purpose, &l.scopes, &l.from, &l.until,
			&l.single, &l.useUnknown, &l.reads)
		return l, err
	})
	if err != nil || len(lines) == 0 {
		return pg.Describe(err)
	}
	err = tx.QueryRow(ctx, "SELECT reads_per_day FROM connections WHERE name = $1", w.connection).Scan(&w.usual)
	if err != nil {
		return err
	}
	for _, l := range w.inOrder(lines) {
		refused, err := w.merge(ctx, tx, &l)
		if err != nil {
			return fmt.Errorf("row %d: %w", l.line+1, err)
		}
		if refused != "" {
			w.r.Refused = append(w.r.Refused, RefusedImport{l.line, refused})
		}
	}
	return w.mergePlain(ctx, tx)
}

// mergePlain imports the rows that turned out to be no renewals.
func (w *renewing) mergePlain(ctx context.Context, tx pgx.Tx) error {
	if len(w.plain) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, "DELETE FROM imported"); err != nil {
		return pg.Describe(err)
	}
	_, err := tx.Exec(ctx, "INSERT INTO imported SELECT * FROM renewing WHERE place = ANY ($1)", w.plain)
	if err != nil {
		return pg.Describe(err)
	}
	return mergeImport(ctx, tx, w.connection, w.rules, w.r)
}

// renewed is a consent that a row renews.
type renewed struct {
	id       int64
	external string
	status   finance.ConsentStatus
	onTrial  bool
	hmac     []byte
	purpose  string
	scopes   []string
	single   bool
	reads    *int32
	follows  bool
	granted  bool
	from     time.Time
	until    *time.Time
}

func (w *renewing) find(ctx context.Context, tx pgx.Tx, id string) (c renewed, err error) {
	err = tx.QueryRow(ctx, `SELECT c.id, c.external_id, c.status, c.on_trial, c.subject_hmac, c.purpose, c.scopes,
			c.single_use, c.reads_per_day, c.reads_of_connection,
			EXISTS (SELECT FROM grants g WHERE g.consent_id = c.id), c.valid_from, c.valid_until
		FROM consents c
		WHERE c.id = (SELECT k.id FROM consent_by_any_id($1, $2) k)
		FOR UPDATE`, w.connection, id).Scan(&c.id, &c.external, &c.status, &c.onTrial, &c.hmac, &c.purpose, &c.scopes,
		&c.single, &c.reads, &c.follows, &c.granted, &c.from, &c.until)
	if errors.Is(err, pgx.ErrNoRows) {
		return renewed{}, nil
	}
	return c, err
}

// merge does what one row asks for, or says why it can't be done.
func (w *renewing) merge(ctx context.Context, tx pgx.Tx, l *renewalLine) (refused string, err error) {
	old, err := w.find(ctx, tx, l.renews)
	if err != nil {
		return "", err
	}
	if old.id == 0 {
		return w.unknown(l), nil
	}
	known, err := w.find(ctx, tx, l.id)
	switch {
	case err != nil:
		return "", err
	case known.id == old.id && old.external == l.id: // an earlier row of the list has brought it
		w.plain = append(w.plain, l.line)
		return "", nil
	case w.another(old.hmac, l.hmac):
		return fmt.Sprintf("the national id is another person's than that of consent %d, which it renews; "+
			"--replace-national-ids takes it all the same", old.id), nil
	case old.granted:
		return fmt.Sprintf("consent %d was given in the browser, so its renewal is, too: "+
			"syncer consents authorize %s --renews %d", old.id, w.connection, old.id), nil
	}
	if known.id == 0 || known.id == old.id {
		return w.keep(ctx, tx, l, old, known.id == old.id)
	}
	if w.another(old.hmac, known.hmac) {
		return fmt.Sprintf("its external_id is known as consent %d, which is another person's than consent %d", known.id,
			old.id), nil
	}
	// It was imported as a consent of its own. Where nothing was read of that yet nothing is lost.
	taken, err := giveUpID(ctx, tx, known.id, old.id)
	switch {
	case err != nil:
		return "", err
	case !taken:
		return fmt.Sprintf("its external_id is known as consent %d, which was read or renewed before, and renews names consent %d: "+
			"two consents can't become one. Take renews out of the line, and end the one that is too many "+
			"(syncer consents revoke)", known.id, old.id), nil
	}
	w.knows(l, known)
	return w.keep(ctx, tx, l, old, false)
}

// another says whether two national ids are those of two persons, and nobody has said that this is meant. One that is not
// known is nobody else's.
func (w *renewing) another(a, b []byte) bool {
	bothKnown := a != nil && b != nil
	return bothKnown && !slices.Equal(a, b) && !w.rules.replace
}

// knows fills in what a list has told of the id before, when it was taken for a consent of its own.
func (w *renewing) knows(l *renewalLine, known renewed) {
	if l.from == nil {
		l.from = &known.from
	}
	if slices.Contains(w.rules.keep, "valid_until") || w.rules.again && l.until == nil {
		l.until = known.until
	}
	if l.hmac == nil {
		l.hmac = known.hmac
	}
}

// unknown is for a row that renews a consent which is not known. One that the list itself has, and that was over, need
// not be known.
func (w *renewing) unknown(l *renewalLine) (refused string) {
	for i := range w.list {
		c := &w.list[i]
		if c.ExternalID == l.renews && !c.ValidUntil.IsZero() && !c.ValidUntil.After(time.Now()) {
			w.plain = append(w.plain, l.line)
			return ""
		}
	}
	return "renews names no consent that is known over this connection: write an id of it that the provider has given, " +
		"or leave it empty where the consent is a new one"
}

// newest is the newest renewal of a consent.
type newest struct {
	id    int64
	newID string
	state string
	terms terms
}

func newestRenewal(ctx context.Context, tx pgx.Tx, consent int64) (r newest, err error) {
	var text []byte
	err = tx.QueryRow(ctx, `SELECT id, new_id, state, terms FROM renewals WHERE consent_id = $1
		ORDER BY id DESC LIMIT 1`, consent).Scan(&r.id, &r.newID, &r.state, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return newest{}, nil
	}
	if err == nil && r.open() {
		err = json.Unmarshal(text, &r.terms)
	}
	return r, err
}

// open says that the id of the renewal may be tried yet, so that terms are those that it brings.
func (r *newest) open() bool {
	return r.state == "waiting" || r.state == "refused" || r.state == "withdrawn"
}

// keep notes the renewal, unless it is known. named says that its id is one of the consent's already.
func (w *renewing) keep(ctx context.Context, tx pgx.Tx, l *renewalLine, old renewed, named bool) (
	refused string, err error) {
	last, err := newestRenewal(ctx, tx, old.id)
	if err != nil {
		return "", err
	}
	again := last.newID == l.id && last.open()
	if named && !again {
		return w.namedBefore(old), nil
	}
	listed := again && !w.rules.again
	if listed {
		if last.state == "withdrawn" {
			return "", nil // a person has ended the consent since
		}
		old = last.terms.onto(old) // what a list does not tell is as it was when it was asked for
	}
	t := w.termsOf(l, old, last, again)
	switch {
	case t.endBy(time.Now()):
		return "", w.leaveOut(ctx, tx, old, last, again)
	case t.endBy(t.From):
		return "valid_until does not lie after valid_from", nil
	case listed && equalTerms(last.terms, t):
		return "", nil
	}
	if err := w.replace(ctx, tx, old, last); err != nil {
		return "", err
	}
	return "", w.note(ctx, tx, l, old, t)
}

// namedBefore is what is said of a row whose id is one of the consent's already, and not that of its newest renewal.
func (w *renewing) namedBefore(old renewed) (refused string) {
	if w.rules.again {
		return fmt.Sprintf("consent %d had this id before: a renewal brings another one", old.id)
	}
	return "" // a line of an older renewal
}

// leaveOut is for a row that is over by what it tells: what waits for it waits no more.
func (w *renewing) leaveOut(ctx context.Context, tx pgx.Tx, old renewed, last newest, again bool) error {
	w.r.Over++
	if again && last.state == "waiting" {
		return giveUpWaiting(ctx, tx, "its valid_until in the list has passed", old.id)
	}
	return nil
}

// endBy says that the terms end at a moment or before it.
func (t terms) endBy(moment time.Time) bool { return t.Until != nil && !t.Until.After(moment) }

// onto is a consent with these terms in place of those that are in force.
func (t terms) onto(c renewed) renewed {
	c.purpose = t.Purpose
	c.scopes = t.Scopes
	c.single = t.SingleUse
	c.reads = t.Reads
	c.follows = t.Follows
	return c
}

// termsOf are the terms that a row brings. What the list does not tell is as it was; but an end is of one id, and not
// known of another.
func (w *renewing) termsOf(l *renewalLine, old renewed, last newest, again bool) terms {
	unlisted := func(column string) bool { return slices.Contains(w.rules.keep, column) }
	t := terms{
		Purpose: l.purpose, Scopes: pg.NotNull(l.scopes), SingleUse: l.single, Reads: l.reads,
		Status: finance.ConsentActive,
	}
	t.Until = exact(l.until)
	if again && !w.rules.again && unlisted("valid_until") {
		t.Until = last.terms.Until
	}
	if unlisted("purpose") {
		t.Purpose = old.purpose
	}
	if unlisted("scopes") {
		t.Scopes = pg.NotNull(old.scopes)
	}
	if unlisted("single_use") || l.useUnknown {
		t.SingleUse = old.single
	}
	switch {
	case unlisted("reads_per_day"):
		t.Reads = old.reads
		t.Follows = old.follows
	case l.reads == nil && w.usual != nil:
		t.Reads = w.usual
		t.Follows = true
	}
	switch {
	case l.from != nil:
		t.From = *exact(l.from)
	case again:
		t.From = last.terms.From
	default:
		now := time.Now()
		t.From = *exact(&now)
	}
	return t
}

// exact is a moment as the database keeps it.
func exact(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	e := t.UTC().Truncate(time.Microsecond)
	return &e
}

// equalTerms says whether the terms are the same by what a list tells of them. The budget of the connection is none of it.
func equalTerms(a, b terms) bool {
	own := func(t terms) int32 {
		if t.Follows || t.Reads == nil {
			return 0
		}
		return *t.Reads
	}
	until := func(t terms) time.Time {
		if t.Until == nil {
			return time.Time{}
		}
		return *t.Until
	}
	switch {
	case a.Purpose != b.Purpose, !slices.Equal(a.Scopes, b.Scopes):
		return false
	case !a.From.Equal(b.From), !until(a).Equal(until(b)):
		return false
	}
	return a.SingleUse == b.SingleUse && own(a) == own(b)
}

// replace ends what an earlier renewal has begun: the newest one holds.
func (w *renewing) replace(ctx context.Context, tx pgx.Tx, old renewed, last newest) error {
	switch last.state {
	case "waiting":
		_, err := tx.Exec(ctx, `UPDATE renewals SET state = 'replaced',
				old_id = coalesce(old_id, $2),
				settled_at = clock_timestamp()
			WHERE id = $1`, last.id, old.external)
		return pg.Describe(err)
	case "trial":
		back, err := putBack(ctx, tx, TrialEnd{Consent: old.id, ExternalID: old.external,
			Reason: "there is another renewal"}, "replaced")
		if err != nil || back {
			return err
		}
		return takeUpEnded(ctx, tx) // it has ended on trial
	}
	return nil
}

// note writes the renewal down, and puts it in force where the consent has ended and its time has come.
func (w *renewing) note(ctx context.Context, tx pgx.Tx, l *renewalLine, old renewed, t terms) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO consent_ids (connection, external_id, consent_id)
		SELECT connection, x.id, c.id
		FROM consents c
		CROSS JOIN LATERAL (VALUES (c.external_id), ($2)) AS x (id)
		WHERE c.id = $1
		ON CONFLICT DO NOTHING`, old.id, l.id)
	if err != nil {
		return pg.Describe(err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO renewals (consent_id, new_id, state, terms) VALUES ($1, $2, 'waiting', $3)`,
		old.id, l.id, text)
	if err != nil {
		return pg.Describe(err)
	}
	if l.hmac != nil {
		_, err = tx.Exec(ctx, `UPDATE consents SET subject_hmac = $2, subject_sealed = coalesce($3, subject_sealed)
			WHERE id = $1 AND (subject_hmac IS DISTINCT FROM $2 OR subject_sealed IS NULL AND $3::bytea IS NOT NULL)`,
			old.id, l.hmac, l.sealed)
		if err != nil {
			return pg.Describe(err)
		}
	}
	if old.status != finance.ConsentActive { // a suspected one is not called for a while, so there is nothing to wait for
		taken, err := takeUp(ctx, tx, ofConsent, pgx.NamedArgs{"consent": old.id})
		if err != nil || len(taken) > 0 {
			w.r.Renewed += len(taken)
			return err
		}
	} else {
		_, err = tx.Exec(ctx, `INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
			SELECT id, clock_timestamp(), 'import', status, status,
				'is renewed: goes on under ' || $2 || ' when that has been answered'
			FROM consents WHERE id = $1`, old.id, l.id)
		if err != nil {
			return pg.Describe(err)
		}
	}
	if !w.counted[old.id] { // a chain is one consent
		w.counted[old.id] = true
		w.r.Renewing++
	}
	return nil
}
