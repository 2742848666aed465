package admit

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// CallColumns are the columns of calls in the order of callRow, for COPY and INSERT alike.
var CallColumns = []string{
	"id", "connection", "bucket", "purpose", "run_id", "batch_id", "consent_id", "dataset", "method", "path",
	"attempt", "sent_at", "waited_us", "duration_us", "status", "bytes", "correlation_id", "class", "reason",
	"retry_after_us", "answer_id",
}

// CallRow is the row of one call. answer is the call whose kept answer has the same bytes; zero: none is kept.
func CallRow(c calls.Call, answer finance.CallID) []any {
	return []any{
		[16]byte(c.ID), pg.Clean(c.Connection), pg.Clean(c.Bucket), string(c.Purpose),
		pg.NullInt(c.Task.Run), pg.NullInt(c.Task.Batch), pg.NullInt(consentID(c.Task)), pg.NullText(string(c.Task.Dataset)),
		pg.Clean(c.Method), pg.Clean(c.Path), int32(c.Attempt), c.SentAt, c.Waited.Microseconds(),
		c.Duration.Microseconds(), pg.NullInt32(c.Status), c.Bytes, pg.NullText(c.Correlation), string(c.Class),
		pg.NullText(c.Reason), pg.NullInt(c.RetryAfter.Microseconds()), pg.NullID(answer),
	}
}

// insertCall is the INSERT of one callRow. Writing the same call again does nothing, so that an attempt whose commit
// was lost on the way back may be repeated.
var insertCall = "INSERT INTO calls (" + strings.Join(CallColumns, ", ") + ") VALUES (" +
	pg.Placeholders(len(CallColumns)) + ") ON CONFLICT (id) DO NOTHING"

func queueCall(b *pgx.Batch, c calls.Call, answer finance.CallID) {
	b.Queue(insertCall, CallRow(c, answer)...)
}

// Record writes down attempts that bring no page: failed ones, token calls, status and feed calls. All are written
// or none.
func (s *Store) Record(ctx context.Context, calls ...calls.Call) error {
	b := &pgx.Batch{}
	for _, c := range calls {
		if !c.Durable {
			queueCall(b, c, finance.CallID{})
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return s.db.SendAll(ctx, "record calls", b)
}

func consentID(s calls.Task) int64 {
	if s.Consent == nil {
		return 0
	}
	return s.Consent.ID
}
