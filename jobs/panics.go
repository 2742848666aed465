package jobs

import (
	"runtime/debug"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// panicked makes an error of what recover gave; nil, of nothing. Without it a defect of one connector would take the
// process down with all its batches, and after three times they would be taken for the killers. The value is not
// repeated, since it may hold a piece of an answer.
func panicked(value any, log *zerolog.Logger, op string) error {
	if value == nil {
		return nil
	}
	log.Error().Str("op", op).Bytes("stack", debug.Stack()).Msg("a connector panicked: report it with this stack")
	return &fetch.Error{Class: finance.Malformed, Op: op, Reason: "the connector panicked, see the log for its stack"}
}

// recovered is panicked for the work on an item.
func (w *batchWork) recovered(value any, item *queue.Item) error {
	log := w.log.With().Int64("consent", item.Consent.ID).Logger()
	return panicked(value, &log, "read "+string(item.Dataset))
}
