package persist

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// callColumns are the columns of calls in the order of callRow, for COPY and INSERT alike.
var callColumns = []string{
	"id", "connection", "bucket", "purpose", "run_id", "batch_id", "consent_id", "dataset", "method", "path",
	"attempt", "sent_at", "waited_us", "duration_us", "status", "bytes", "correlation_id", "class", "reason",
	"retry_after_us", "answer_id",
}

// callRow is the row of one call. answer is the call whose kept answer has the same bytes; zero: none is kept.
func callRow(c finance.Call, answer finance.CallID) []any {
	return []any{
		[16]byte(c.ID), clean(c.Connection), clean(c.Bucket), string(c.Purpose),
		nullInt(c.Scope.Run), nullInt(c.Scope.Batch), nullInt(consentID(c.Scope)), nullText(string(c.Scope.Dataset)),
		clean(c.Method), clean(c.Path), int32(c.Attempt), c.SentAt, c.Waited.Microseconds(),
		c.Duration.Microseconds(), nullInt32(c.Status), c.Bytes, nullText(c.Correlation), string(c.Class),
		nullText(c.Reason), nullInt(c.RetryAfter.Microseconds()), nullID(answer),
	}
}

// insertCall is the INSERT of one callRow. Writing the same call again does nothing, so that an attempt whose commit
// was lost on the way back may be repeated.
var insertCall = "INSERT INTO calls (" + strings.Join(callColumns, ", ") + ") VALUES (" +
	placeholders(len(callColumns)) + ") ON CONFLICT (id) DO NOTHING"

func queueCall(b *pgx.Batch, c finance.Call, answer finance.CallID) {
	b.Queue(insertCall, callRow(c, answer)...)
}

// Record writes down attempts that bring no page: failed ones, token calls, status and feed calls. All are written
// or none.
func (s *Store) Record(ctx context.Context, calls ...finance.Call) error {
	b := &pgx.Batch{}
	for _, c := range calls {
		if !c.Durable {
			queueCall(b, c, finance.CallID{})
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return s.sendBatch(ctx, "record calls", b)
}

func consentID(s finance.Scope) int64 {
	if s.Consent == nil {
		return 0
	}
	return s.Consent.ID
}

// clean makes a text that Postgres accepts: valid UTF-8 without NUL. A provider's words can hold either, and an
// error message must not be what makes a call's record fail.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return clean(s)
}

func nullInt(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func nullInt32(n int) any {
	if n == 0 {
		return nil
	}
	return int32(n)
}

func nullID(id finance.CallID) any {
	if id.IsZero() {
		return nil
	}
	return [16]byte(id)
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// notNull: pgx writes a nil slice as NULL, where the columns have an empty array for nothing.
func notNull(texts []string) []string {
	return append([]string{}, texts...)
}

func nullDate(d finance.Date) any {
	if d.IsZero() {
		return nil
	}
	return d.Time()
}
