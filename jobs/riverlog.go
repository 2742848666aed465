package jobs

import (
	"context"
	"log/slog"
)

// riverLog gives what River logs the names and units that our own lines have: an error is called error, and a duration has its
// unit.
type riverLog struct{ slog.Handler }

// Handle writes a line.
func (l riverLog) Handle(ctx context.Context, r slog.Record) error {
	ours := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		ours.AddAttrs(ourAttr(a))
		return true
	})
	return l.Handler.Handle(ctx, ours)
}

// WithAttrs is a log whose lines have these too.
func (l riverLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	ours := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		ours[i] = ourAttr(a)
	}
	return riverLog{l.Handler.WithAttrs(ours)}
}

// WithGroup is a log whose lines stand in a group.
func (l riverLog) WithGroup(name string) slog.Handler { return riverLog{l.Handler.WithGroup(name)} }

func ourAttr(a slog.Attr) slog.Attr {
	if a.Key == "err" {
		a.Key = "error"
	}
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
