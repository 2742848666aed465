package refusals

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/tokens"
)

// Refusal is a provider's word against a consent, met while an item was worked.
type Refusal struct {
	Connection   string
	Credentials  string // the fingerprint of those that the call was made with
	Batch, Fence int64
	Item         queue.Decided         // how the item ends if the consent has ended
	Status       finance.ConsentStatus // what the consent is if the word is true
	Reason       string
	ExternalID   string // that was refused; empty: the one in force
	// Named says that the answer's own code names the end of this consent. Else its status is all that
	// speaks for it.
	Named bool
	// Checked says that the connection's token and its check are good. It is asked for by Refused.Unchecked.
	Checked bool
	// CheckFailed says that they are not.
	CheckFailed bool
}

// Refused is what came of a Refusal.
type Refused struct {
	// Parked is why the connection is parked: then nothing is believed, and the item is not decided.
	Parked string
	// Unchecked says that nothing was written: whether it is believed depends on the connection's
	// check. The caller makes it, and tells of the refusal again.
	Unchecked bool
	// Renewed says that the consent goes by another id by now: nothing was written, and the item is to be asked for again.
	Renewed bool
	// Item is how the item was decided.
	Item queue.Decision
	// Held is how many ends are held, because so many came together that none of them is believed; 0: none.
	Held int
}

// A refused consent is asked again after SuspectedFor. Where no other consent can show that the
// provider works, it ends at the third refusal.
const (
	refusalsEnough = 3
)

// Refuse does what a refusal of a consent asks for, and decides its item, in one commit.
//
// One whose code names the end is believed. One by its status alone makes the consent suspected, and is
// believed when it comes again after SuspectedFor while others were answered well in between; where
// none was, the third time, if the check is good. What is believed of too many consents within a day is
// held until an operator decides. Of a parked connection nothing is believed. It fails with ErrFenced
// when the batch is another's.
func (s *Store) Refuse(ctx context.Context, r Refusal) (out Refused, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("note that consent %d was refused", r.Item.Consent), func(tx pgx.Tx) error {
		out = Refused{}
		// Refusals of a connection go one by one, or each of two could miss that the other makes them
		// too many.
		err := tx.QueryRow(ctx, `SELECT coalesce(c.parked_reason, (
				SELECT p.reason FROM credential_parks p
				WHERE p.connection = c.name AND p.credentials = $2), '')
			FROM connections c
			WHERE c.name = $1 FOR NO KEY UPDATE OF c`, r.Connection, r.Credentials).Scan(&out.Parked)
		if err != nil {
			return err
		}
		if out.Parked != "" {
			return tokens.BelieveGrant(ctx, tx, r.Item.Consent)
		}
		was, err := loadSuspicion(ctx, tx, r.Connection, r.Item.Consent)
		if err != nil {
			return err
		}
		if r.ExternalID != "" && was.external != r.ExternalID {
			out.Renewed = true
			return nil
		}
		judged := was.judge(r)
		if judged == unchecked {
			out.Unchecked = true
			return nil
		}
		item, err := r.follow(ctx, tx, judged, was)
		if err != nil {
			return err
		}
		return out.decide(ctx, tx, r, item)
	})
	return out, err
}

// follow does to the consent what follows from a refusal that was judged, and gives what becomes of its item.
func (r Refusal) follow(ctx context.Context, tx pgx.Tx, judged belief, was suspicion) (queue.Decided, error) {
	switch judged {
	case believed:
		return r.Item, endRefused(ctx, tx, r)
	case suspectedAnew:
		if err := suspect(ctx, tx, r, was); err != nil {
			return r.Item, err
		}
		return suspectedItem(ctx, tx, r)
	case suspectedYet:
		return suspectedItem(ctx, tx, r)
	}
	return r.Item, nil
}

// decide decides the item, and holds the ends of the connection where there are too many.
func (out *Refused) decide(ctx context.Context, tx pgx.Tx, r Refusal, item queue.Decided) error {
	err := queue.DecideWithin(ctx, tx, r.Batch, r.Fence, []queue.Decided{item})
	if err == nil && item.Outcome == finance.Excused {
		out.Held, err = holdIfTooMany(ctx, tx, r.Connection)
	}
	out.Item = item.Decision
	if out.Held > 0 {
		out.Item.Outcome = finance.Failed
		out.Item.Reason += "; " + queue.HeldReason
	}
	return err
}

func endRefused(ctx context.Context, tx pgx.Tx, r Refusal) error {
	_, err := consents.EndWithin(ctx, tx, consents.End{Consent: r.Item.Consent, Status: r.Status, Reason: r.Reason,
		Source: consents.FromAnswer, Call: r.Item.Call, Of: r.ExternalID})
	return err
}

// Ending is a consent that is over by the status its provider gave for it.
type Ending struct {
	Consent    int64
	Status     finance.ConsentStatus
	Reason     string
	ExternalID string // that is over; empty: the one in force
}

// EndByStatus ends the consents that their provider, asked for their statuses, says are over, all or
// none. If they are too many they are held: a registry that does not know the ids that we have, because
// they are another environment's, calls every one of them inactive. changed are those that were not
// over until now, held how many are held then.
func (s *Store) EndByStatus(ctx context.Context, connection string, ended []Ending) (
	changed, held int, err error) {
	what := fmt.Sprintf("end %d consents of %s by their statuses", len(ended), connection)
	err = s.db.InTx(ctx, what, func(tx pgx.Tx) error {
		changed = 0
		_, err := tx.Exec(ctx, "SELECT FROM connections WHERE name = $1 FOR NO KEY UPDATE", connection)
		if err != nil {
			return err
		}
		for _, e := range ended {
			now, err := consents.EndWithin(ctx, tx, consents.End{Consent: e.Consent, Status: e.Status, Reason: e.Reason,
				Source: consents.FromStatus, Of: e.ExternalID})
			if err != nil {
				return err
			}
			if now {
				changed++
			}
		}
		held, err = holdIfTooMany(ctx, tx, connection)
		return err
	})
	return changed, held, err
}

// ClearSuspicion makes a suspected consent active, because the provider has answered for it: with its
// data of a dataset, or, where that is empty, by its status. Data of another dataset than the one that
// was refused say nothing: of many a consent that is over the list of accounts can still be read.
// changed is false if it is suspected still, or was not.
func (s *Store) ClearSuspicion(
	ctx context.Context, consent int64, dataset finance.Dataset, source consents.EventSource, call finance.CallID) (
	changed bool, err error) {
	tag, err := s.db.Exec(ctx, `WITH cleared AS (
			UPDATE consents SET status = 'active', `+consents.ForgetSuspicion+`
			WHERE id = $1 AND status = 'suspected' AND ($4 = '' OR coalesce(suspected_dataset, $4) = $4) RETURNING id
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
		SELECT id, clock_timestamp(), $2, 'suspected', 'active', 'the provider has answered for it', $3
		FROM cleared`,
		consent, string(source), pg.NullID(call), string(dataset))
	if err != nil {
		return false, fmt.Errorf("note that suspected consent %d was answered: %w", consent, err)
	}
	return tag.RowsAffected() == 1, nil
}
