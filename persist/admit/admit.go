package admit

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"syncer/calls"
	"syncer/persist/pg"
)

// headroom is the share of a bucket's rate that is used. The slots of a rate r stand 1/(headroom*r) apart, so n+1
// calls span at least n/(0.985*r): 1.5 % more than the window in which the provider allows n. Calls are not sent at
// their slot to the microsecond (the answer travels, the goroutine waits for a processor, the request for a
// connection), and at the exact rate the smallest such shift puts one call too many into some window of the
// provider's. With the headroom the shift may be 1.5 % of the window: 15 ms of a second, 0.9 s of a minute.
const headroom = 0.985

// SlotInterval is the time between two slots in whole microseconds, rounded up; 0: no rate.
func SlotInterval(perSecond float64) int64 {
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
func (s *Store) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	if err := s.db.CanStore(ctx); err != nil {
		return calls.Admission{}, fmt.Errorf("ask for a call to %s: %w", ask.Bucket, err)
	}
	a, err := s.asks.Ask(ctx, ask)
	if err != nil {
		return calls.Admission{}, fmt.Errorf("ask for a call to %s: %w", ask.Bucket, err)
	}
	return a, nil
}

// Look says what Admit would, and reserves and writes nothing. Callers that ask at the same time share one round trip.
func (s *Store) Look(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	if err := s.db.CanStore(ctx); err != nil {
		return calls.Admission{}, fmt.Errorf("look whether a call to %s may be sent: %w", ask.Bucket, err)
	}
	ask.Opening = false
	ask.Probe = 0
	a, err := s.looks.Ask(ctx, ask)
	if err != nil {
		return calls.Admission{}, fmt.Errorf("look whether a call to %s may be sent: %w", ask.Bucket, err)
	}
	return a, nil
}

// Refund gives back what Admit has spent for this ask, because nothing was sent: the consent's read, and the call
// of the day's quota where the day is not over.
func (s *Store) Refund(ctx context.Context, ask calls.Ask) error {
	b := &pgx.Batch{}
	if ask.Opening {
		b.Queue(`DELETE FROM consent_reads
			WHERE consent_id = $1
			AND call_id = $2`, consentID(ask.Task), pg.NullID(ask.Call))
	}
	if !ask.Day.IsZero() {
		b.Queue(`UPDATE gates
			SET day_calls = day_calls - 1
			WHERE bucket = $1
			AND day_ends = $2
			AND day_calls > 0`, ask.Bucket, ask.Day)
	}
	return s.db.SendAll(ctx, "give back what was reserved for a call to "+ask.Bucket, b)
}

const admitCalls = `SELECT place,
		coalesce(refusal, ''),
		told,
		coalesce(reason, ''),
		gate_us,
		send_us,
		moment_us,
		probe,
		awaits,
		closed,
		ends_us,
		pace_us,
		day_us,
		coalesce(gate_code, '')
	FROM admit_calls_v4($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`

// admit answers a crowd in one round trip and one transaction.
func (s *Store) admit(ctx context.Context, asks []calls.Ask) ([]calls.Admission, error) {
	return s.question(ctx, asks, TurnsAround(time.Now()))
}

// lookAt is admit for those who only look.
func (s *Store) lookAt(ctx context.Context, asks []calls.Ask) ([]calls.Admission, error) {
	return s.question(ctx, asks, nil)
}

// question puts the question of a crowd. Without turns it is that of a crowd which only looks.
func (s *Store) question(ctx context.Context, asks []calls.Ask, turns TurnsOf) ([]calls.Admission, error) {
	columns := askColumns(asks, turns)
	said := s.news.said(asks) // what had been heard before
	began := time.Now()
	rows, err := s.db.Query(ctx, admitCalls, columns...)
	if err != nil {
		return nil, err
	}
	answers := make([]calls.Admission, len(said))
	var row, n int
	var refused refusal
	var shut closedGate
	var closed string
	var gate, send, moment, ends, pace, day int64
	var probe, awaits bool
	moments := make([]time.Time, len(said))
	fields := []any{&row, &refused.code, &refused.told, &shut.words, &gate, &send, &moment, &probe, &awaits, &closed, &ends,
		&pace, &day, &shut.code}
	_, err = pgx.ForEachRow(rows, fields, func() error {
		shut.told = refused.told
		reason := shut.sentence()
		if refused.code != "" {
			reason = refused.sentence(&asks[row-1])
		}
		answers[row-1] = calls.Admission{Refusal: refused.class(), Reason: reason,
			Gate: pg.FromMicros(gate), Closed: closed, SendIn: pg.FromMicros(send), Probe: probe, Awaits: awaits,
			Spacing: pg.FromMicros(pace), Said: said[row-1]}
		if day != 0 {
			answers[row-1].Day = time.UnixMicro(day)
		}
		if ends > 0 {
			// Or a little later: the database looked after that.
			answers[row-1].Said.Ends = began.Add(pg.FromMicros(ends))
		}
		moments[row-1] = time.UnixMicro(moment)
		n++
		return nil
	})
	ended := time.Now()
	for i := range answers {
		// Also without a rate: the answer may have waited for a process that was frozen, and its batch be another's by now.
		answers[i].SendIn -= s.transit.delay(moments[i], began, ended)
		answers[i].Said.At = arrived(began, ended)
	}
	if err == nil && n != len(said) {
		err = fmt.Errorf("%d of %d questions were answered", n, len(said))
	}
	return answers, err
}

// onlyLooks is the interval of a caller that only looks.
const onlyLooks = -1

// TurnsOf writes the resets of a quota, for the database to choose from by its own clock.
type TurnsOf func(calls.Quota) string

// TurnsAround are those around a moment. A crowd has few different quotas, so each is reckoned once.
func TurnsAround(now time.Time) TurnsOf {
	known := map[calls.Quota]string{}
	return func(q calls.Quota) string {
		if q.PerDay <= 0 {
			return ""
		}
		text, ok := known[q]
		if ok {
			return text
		}
		var moments []string
		for _, turn := range q.Turns(now) {
			moments = append(moments,
				strconv.FormatInt(turn.From.UnixMicro(), 10), strconv.FormatInt(turn.Until.UnixMicro(), 10))
		}
		known[q] = "{" + strings.Join(moments, ",") + "}"
		return known[q]
	}
}

// askColumns are the parameters of a question. Without turns it is that of a crowd which only looks.
func askColumns(asks []calls.Ask, turns TurnsOf) []any {
	n := len(asks)
	connections := make([]string, n)
	credentials := make([]string, n)
	buckets := make([]string, n)
	intervals := make([]int64, n)
	opening := make([]bool, n)
	batches := make([]*int64, n)
	fences := make([]int64, n)
	consents := make([]*int64, n)
	calls := make([]pgtype.UUID, n)
	needs := make([]string, n)
	gates := make([]string, n)
	probes := make([]int64, n)
	once := make([]bool, n)
	external := make([]*string, n)
	perDay := make([]int64, n)
	resets := make([]string, n)
	days := make([]int64, n)
	for i := range asks {
		a := &asks[i]
		connections[i] = a.Connection
		credentials[i] = a.Credentials
		buckets[i] = a.Bucket
		intervals[i] = SlotInterval(a.PerSecond)
		opening[i] = a.Opening
		perDay[i] = int64(a.Quota.PerDay)
		if turns == nil {
			intervals[i] = onlyLooks
		} else {
			resets[i] = turns(a.Quota)
		}
		if !a.Day.IsZero() {
			days[i] = a.Day.UnixMicro()
		}
		fences[i] = a.Task.Fence
		probes[i] = pg.Micros(a.Probe)
		once[i] = a.Once
		calls[i] = pgtype.UUID{Bytes: a.Call, Valid: !a.Call.IsZero()}
		needs[i] = strings.Join(a.Needs, " ")
		gates[i] = strings.Join(a.Gates, "\n")
		if a.Task.Batch != 0 {
			batches[i] = &a.Task.Batch
		}
		if a.Task.Consent != nil {
			consents[i] = &a.Task.Consent.ID
			external[i] = &a.Task.Consent.ExternalID
		}
	}
	return []any{connections, buckets, intervals, opening, batches, fences, consents, calls, needs, probes, once,
		gates, credentials, perDay, resets, days, external}
}
