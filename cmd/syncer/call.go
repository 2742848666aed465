package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/persist"
)

func (a *app) callCommand() *cobra.Command {
	return &cobra.Command{
		Use: "call ID", Short: "Show what is known of one call", Args: usageArgs(cobra.ExactArgs(1)),
		Long:    "Finds a call by our request id, or by the provider's correlation id, which may name several calls.",
		Example: "  syncer call 01936f3e-7c1a-7b2e-9a51-6f0f3a2b1c4d\n  syncer call 4bf92f3577b34da6 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(h *house) error { return a.showCalls(cmd.Context(), h, args[0]) })
		},
	}
}

func (a *app) showCalls(ctx context.Context, h *house, id string) error {
	calls, err := findCalls(ctx, h.Store, id)
	if err != nil {
		return err
	}
	if len(calls) == 0 {
		return fmt.Errorf("no call has the id %q, neither ours nor the provider's: `syncer runs show RUN` lists some", printable(id))
	}
	for i, c := range calls {
		if a.json {
			if err := a.line(toCallJSON(c)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			a.say("")
		}
		a.writeCall(c)
	}
	return nil
}

// findCalls takes the id for ours if it can be, and for the provider's otherwise.
func findCalls(ctx context.Context, store *persist.Store, id string) ([]persist.CallRecord, error) {
	if ours, err := uuid.Parse(id); err == nil {
		call, err := store.CallByID(ctx, finance.CallID(ours))
		if err == nil || !errors.Is(err, persist.ErrNotFound) {
			return []persist.CallRecord{call}, err
		}
	}
	return store.CallsByCorrelation(ctx, id)
}

func (a *app) writeCall(r persist.CallRecord) {
	c := r.Call
	status := "no answer"
	if c.Status != 0 {
		status = strconv.Itoa(c.Status)
	}
	writeFields(a.out, [][2]string{
		{"call", c.ID.String()}, {"provider's id", c.Correlation}, {"connection", c.Connection}, {"bucket", c.Bucket},
		{"purpose", string(c.Purpose)}, {"request", c.Method + " " + c.Path}, {"attempt", strconv.Itoa(c.Attempt)},
		{"sent", c.SentAt.UTC().Format("2006-01-02 15:04:05.000Z")}, {"waited before", took(c.Waited)}, {"took", took(c.Duration)},
		{"status", status}, {"class", string(c.Class)}, {"reason", c.Reason}, {"pause asked for", optional(c.RetryAfter)},
		{"bytes", thousands(int(c.Bytes))}, {"run", number(c.Scope.Run)}, {"batch", number(c.Scope.Batch)},
		{"consent", number(r.Consent)}, {"dataset", string(c.Scope.Dataset)}, {"answer", answerText(r)},
	})
}

// answerText says what became of the answer's bytes.
func answerText(r persist.CallRecord) string {
	if r.KeptUntil.IsZero() {
		return "not kept"
	}
	kept := "was kept until "
	if r.Kept {
		kept = "kept, sealed, until "
	}
	kept += clock(r.KeptUntil)
	if r.KeptAs != r.Call.ID {
		kept = "the same bytes as that of call " + r.KeptAs.String() + ", " + kept
	}
	return kept
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func optional(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return took(d)
}

type callJSON struct {
	Call        string    `json:"call"`
	Correlation string    `json:"correlation_id,omitempty"`
	Connection  string    `json:"connection"`
	Bucket      string    `json:"bucket"`
	Purpose     string    `json:"purpose"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	Attempt     int       `json:"attempt"`
	SentAt      time.Time `json:"sent_at"`
	Waited      float64   `json:"waited_seconds"`
	Duration    float64   `json:"duration_seconds"`
	Status      int       `json:"status,omitempty"`
	Bytes       int64     `json:"bytes"`
	Class       string    `json:"class"`
	Reason      string    `json:"reason,omitempty"`
	RetryAfter  float64   `json:"retry_after_seconds,omitempty"`
	Run         int64     `json:"run,omitempty"`
	Batch       int64     `json:"batch,omitempty"`
	Consent     int64     `json:"consent,omitempty"`
	Dataset     string    `json:"dataset,omitempty"`
	AnswerKept  bool      `json:"answer_kept"`
	AnswerUntil time.Time `json:"answer_kept_until,omitzero"` // when it goes, or went
	AnswerOf    string    `json:"answer_of,omitempty"`        // the call whose kept answer has the same bytes
}

func toCallJSON(r persist.CallRecord) callJSON {
	c := r.Call
	j := callJSON{
		Call: c.ID.String(), Correlation: c.Correlation, Connection: c.Connection, Bucket: c.Bucket, Purpose: string(c.Purpose),
		Method: c.Method, Path: c.Path, Attempt: c.Attempt, SentAt: c.SentAt, Waited: c.Waited.Seconds(),
		Duration: c.Duration.Seconds(), Status: c.Status, Bytes: c.Bytes, Class: string(c.Class), Reason: c.Reason,
		RetryAfter: c.RetryAfter.Seconds(), Run: c.Scope.Run, Batch: c.Scope.Batch, Consent: r.Consent,
		Dataset: string(c.Scope.Dataset), AnswerKept: r.Kept, AnswerUntil: r.KeptUntil,
	}
	if r.KeptAs != c.ID {
		j.AnswerOf = r.KeptAs.String()
	}
	return j
}
