package persist

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"syncer/finance"
)

// headroom is the share of a bucket's rate that is used. The slots of a rate r stand 1/(headroom*r) apart, so n+1
// calls span at least n/(0.985*r): 1.5 % more than the window in which the provider allows n. Calls are not sent at
// their slot to the microsecond (the answer travels, the goroutine waits for a processor, the request for a
// connection), and at the exact rate the smallest such shift puts one call too many into some window of the
// provider's. With the headroom the shift may be 1.5 % of the window: 15 ms of a second, 0.9 s of a minute.
const headroom = 0.985

// slotInterval is the time between two slots in whole microseconds, rounded up; 0: no rate.
func slotInterval(perSecond float64) int64 {
	if perSecond <= 0 {
		return 0
	}
	const year = 365 * 24 * float64(time.Hour/time.Microsecond)
	return int64(min(math.Ceil(1e6/(perSecond*headroom)), year))
}

// Admit reserves the next slot of a bucket, unless the gate is closed or the call must not be made: the batch has
// been taken over, the connection is parked, the consent has ended or its daily reads are spent. What it reserves is
// committed before it returns. All times are those of the database's clock. Callers that ask at the same time share
// one round trip.
func (s *Store) Admit(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	if err := s.mayFetch(ctx); err != nil {
		return finance.Admission{}, fmt.Errorf("ask the ledger for a call to %s: %w", ask.Bucket, err)
	}
	a, err := s.asks.ask(ctx, ask)
	if err != nil {
		return finance.Admission{}, fmt.Errorf("ask the ledger for a call to %s: %w", ask.Bucket, err)
	}
	return a, nil
}

// Look says what Admit would, and reserves and writes nothing. Callers that ask at the same time share one round trip.
func (s *Store) Look(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	if err := s.mayFetch(ctx); err != nil {
		return finance.Admission{}, fmt.Errorf("look at the ledger for a call to %s: %w", ask.Bucket, err)
	}
	ask.PerSecond, ask.Opening, ask.Probe = 0, false, 0
	a, err := s.looks.ask(ctx, ask)
	if err != nil {
		return finance.Admission{}, fmt.Errorf("look at the ledger for a call to %s: %w", ask.Bucket, err)
	}
	return a, nil
}

// Refund gives back the read that Admit has spent for this ask, because nothing was sent.
func (s *Store) Refund(ctx context.Context, ask finance.Ask) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM consent_reads WHERE consent_id = $1 AND call_id = $2", consentID(ask.Scope), nullID(ask.Call))
	if err != nil {
		return fmt.Errorf("give back a read of consent %d: %w", consentID(ask.Scope), err)
	}
	return nil
}

// spentReason is how admit_calls begins its reason when a consent has no read left. It is the one refusal that passes by
// itself, within a day, so it has a class of its own.
const spentReason = "daily reads spent"

// admit answers a crowd in one round trip and one transaction.
func (s *Store) admit(ctx context.Context, asks []finance.Ask) ([]finance.Admission, error) {
	began := time.Now()
	rows, err := s.pool.Query(ctx, "SELECT place, coalesce(refusal, ''), coalesce(reason, ''), gate_us, send_us, moment_us, probe, awaits, closed "+
		"FROM admit_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)", askColumns(asks)...)
	if err != nil {
		return nil, err
	}
	answers := make([]finance.Admission, len(asks))
	var place, n int
	var refusal, reason, closed string
	var gate, send, moment int64
	var probe, awaits bool
	moments := make([]time.Time, len(asks))
	_, err = pgx.ForEachRow(rows, []any{&place, &refusal, &reason, &gate, &send, &moment, &probe, &awaits, &closed}, func() error {
		class := finance.Class(refusal)
		if class == finance.Refused && strings.HasPrefix(reason, spentReason) {
			class = finance.Spent
		}
		answers[place-1] = finance.Admission{Refusal: class, Reason: reason,
			Gate: fromMicros(gate), Closed: closed, SendIn: fromMicros(send), Probe: probe, Awaits: awaits}
		moments[place-1] = time.UnixMicro(moment)
		n++
		return nil
	})
	ended := time.Now()
	for i := range answers {
		// Also without a rate: the answer may have waited for a process that was frozen, and its batch be another's by now.
		answers[i].SendIn -= s.transit.delay(moments[i], began, ended)
	}
	if err == nil && n != len(asks) {
		err = fmt.Errorf("%d of %d questions were answered", n, len(asks))
	}
	return answers, err
}

func askColumns(asks []finance.Ask) []any {
	n := len(asks)
	connections, credentials, buckets := make([]string, n), make([]string, n), make([]string, n)
	intervals, opening := make([]int64, n), make([]bool, n)
	batches, fences, consents := make([]*int64, n), make([]int64, n), make([]*int64, n)
	calls, needs := make([]pgtype.UUID, n), make([]string, n)
	gates := make([]string, n)
	probes, once := make([]int64, n), make([]bool, n)
	for i := range asks {
		a := &asks[i]
		connections[i], credentials[i], buckets[i] = a.Connection, a.Credentials, a.Bucket
		intervals[i], opening[i] = slotInterval(a.PerSecond), a.Opening
		fences[i] = a.Scope.Fence
		probes[i], once[i] = micros(a.Probe), a.Once
		calls[i], needs[i] = pgtype.UUID{Bytes: a.Call, Valid: !a.Call.IsZero()}, strings.Join(a.Needs, " ")
		gates[i] = strings.Join(a.Gates, "\n")
		if a.Scope.Batch != 0 {
			batches[i] = &a.Scope.Batch
		}
		if a.Scope.Consent != nil {
			consents[i] = &a.Scope.Consent.ID
		}
	}
	return []any{connections, buckets, intervals, opening, batches, fences, consents, calls, needs, probes, once, gates, credentials}
}
