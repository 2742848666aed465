package persist

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// errNoConsent says that a call of a single-use consent came without its consent: a defect of the asker.
var errNoConsent = errors.New("the call names no consent")

// Intend writes down that the one call of a single-use consent is about to be sent, or tells what became of an
// earlier one. It never says Fresh twice for a consent unless Withdraw was called in between. An Intent that is
// neither Fresh nor Answered is a send whose fate only the provider knows: it must not be sent again.
func (s *Store) Intend(ctx context.Context, call finance.Call) (finance.Intent, error) {
	id := consentID(call.Scope)
	if id == 0 {
		return finance.Intent{}, fmt.Errorf("intend call %s: %w", call.ID, errNoConsent)
	}
	tag, err := s.pool.Exec(ctx, `INSERT INTO inbox (consent_id, call_id) VALUES ($1, $2)
		ON CONFLICT (consent_id) DO NOTHING`, id, [16]byte(call.ID))
	if err != nil {
		return finance.Intent{}, fmt.Errorf("intend the call of consent %d: %w", id, err)
	}
	if tag.RowsAffected() == 1 {
		return finance.Intent{Fresh: true}, nil
	}
	return s.storedAnswer(ctx, call.Scope)
}

// storedAnswer reads what became of an earlier intent. The scope of the stored call is the asker's, since it is this
// batch that goes on with it.
func (s *Store) storedAnswer(ctx context.Context, scope finance.Scope) (finance.Intent, error) {
	id := scope.Consent.ID
	c := finance.Call{Scope: scope, Durable: true}
	var answered, settled bool
	var sealed []byte
	var waited, took, retryAfter int64
	err := s.pool.QueryRow(ctx, `SELECT i.call_id, i.answered_at IS NOT NULL, i.settled_at IS NOT NULL, i.body,
		coalesce(c.connection, ''), coalesce(c.bucket, ''), coalesce(c.purpose, ''), coalesce(c.method, ''),
		coalesce(c.path, ''), coalesce(c.attempt, 0), coalesce(c.sent_at, i.intended_at), coalesce(c.waited_us, 0),
		coalesce(c.duration_us, 0), coalesce(c.status, 0), coalesce(c.bytes, 0), coalesce(c.correlation_id, ''),
		coalesce(c.class, ''), coalesce(c.reason, ''), coalesce(c.retry_after_us, 0)
		FROM inbox i LEFT JOIN calls c ON c.id = i.call_id WHERE i.consent_id = $1`, id).Scan(
		(*[16]byte)(&c.ID), &answered, &settled, &sealed, &c.Connection, &c.Bucket, &c.Purpose, &c.Method, &c.Path,
		&c.Attempt, &c.SentAt, &waited, &took, &c.Status, &c.Bytes, &c.Correlation, &c.Class, &c.Reason, &retryAfter)
	if err != nil {
		return finance.Intent{}, fmt.Errorf("read the stored answer of consent %d: %w", id, err)
	}
	if settled {
		return finance.Intent{}, fmt.Errorf("the single-use consent %d was used by call %s, whose page is committed: "+
			"a new consent is needed to read again", id, c.ID)
	}
	if !answered {
		return finance.Intent{}, nil
	}
	c.Waited, c.Duration, c.RetryAfter = fromMicros(waited), fromMicros(took), fromMicros(retryAfter)
	body, err := s.vault.OpenBody(sealed, c.ID)
	if err != nil {
		return finance.Intent{}, fmt.Errorf("open the stored answer of consent %d: %w", id, err)
	}
	return finance.Intent{Answered: true, Call: c, Body: body}, nil
}

// Answered stores the call with its whole answer in one commit, before anything reads it. It fails if the consent's
// intent is not this call's.
func (s *Store) Answered(ctx context.Context, call finance.Call, body []byte) error {
	id := consentID(call.Scope)
	sealed, err := s.vault.SealBody(body, call.ID)
	if err != nil {
		return fmt.Errorf("seal the answer of consent %d: %w", id, err)
	}
	return s.inTx(ctx, fmt.Sprintf("store the answer of consent %d", id), func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE inbox SET answered_at = clock_timestamp(), status = $3, body = $4
			WHERE consent_id = $1 AND call_id = $2 AND (answered_at IS NULL OR settled_at IS NULL)`,
			id, [16]byte(call.ID), call.Status, sealed)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("call %s was not intended", call.ID)
		}
		_, err = tx.Exec(ctx, insertCall, callRow(call, finance.CallID{})...)
		return err
	})
}

// Withdraw takes the intent back after an answer that shows that the consent was not spent, such as a 429. An intent
// of another call, or one that was answered, stays.
func (s *Store) Withdraw(ctx context.Context, call finance.Call) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM inbox WHERE consent_id = $1 AND call_id = $2 AND answered_at IS NULL",
		consentID(call.Scope), [16]byte(call.ID))
	if err != nil {
		return fmt.Errorf("withdraw the intent of consent %d: %w", consentID(call.Scope), err)
	}
	return nil
}

// SettleInbox ends a single-use consent whose answer is committed as a page: its stored body is dropped and the
// consent is consumed. Doing it again does nothing. A consent without a stored answer is left as it is.
func (s *Store) SettleInbox(ctx context.Context, consent int64) error {
	return s.inTx(ctx, fmt.Sprintf("settle the answer of consent %d", consent), func(tx pgx.Tx) error {
		var call finance.CallID
		err := tx.QueryRow(ctx, `UPDATE inbox SET settled_at = clock_timestamp(), body = NULL
			WHERE consent_id = $1 AND answered_at IS NOT NULL AND settled_at IS NULL RETURNING call_id`,
			consent).Scan((*[16]byte)(&call))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = endConsent(ctx, tx, consentEnd{consent, finance.ConsentConsumed, "used by its one call", FromAnswer, call})
		return err
	})
}

// UnansweredConsent ends a single-use consent whose one call was sent and never answered. Whether it was spent is the
// provider's secret, so it is never sent again. A consent whose answer is stored after all is left as it is.
func (s *Store) UnansweredConsent(ctx context.Context, consent int64, call finance.CallID) error {
	return s.inTx(ctx, fmt.Sprintf("end the unanswered consent %d", consent), func(tx pgx.Tx) error {
		var answered bool
		err := tx.QueryRow(ctx, "SELECT answered_at IS NOT NULL FROM inbox WHERE consent_id = $1 FOR UPDATE",
			consent).Scan(&answered)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || answered {
			return err
		}
		_, err = endConsent(ctx, tx, consentEnd{consent, finance.ConsentConsumedUnknown,
			"its one call was sent and not answered", FromAnswer, call})
		return err
	})
}
