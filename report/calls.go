package report

import (
	"io"
	"strconv"
	"time"

	"syncer/persist/read"
	"syncer/report/text"
)

// Call is one HTTP attempt: the JSON of `call`.
type Call struct {
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

// CallOf is a call for programs.
func CallOf(r read.CallRecord) Call {
	c := r.Call
	j := Call{
		Call: c.ID.String(), Correlation: c.Correlation, Connection: c.Connection, Bucket: c.Bucket, Purpose: string(c.Purpose),
		Method: c.Method, Path: c.Path, Attempt: c.Attempt, SentAt: c.SentAt, Waited: c.Waited.Seconds(),
		Duration: c.Duration.Seconds(), Status: c.Status, Bytes: c.Bytes, Class: string(c.Class), Reason: c.Reason,
		RetryAfter: c.RetryAfter.Seconds(), Run: c.Task.Run, Batch: c.Task.Batch, Consent: r.Consent,
		Dataset: string(c.Task.Dataset), AnswerKept: r.Kept, AnswerUntil: r.KeptUntil,
	}
	if r.KeptAs != c.ID {
		j.AnswerOf = r.KeptAs.String()
	}
	return j
}

// WriteCall tells what is known of a call.
func WriteCall(w io.Writer, r read.CallRecord) {
	c := r.Call
	status := "no answer"
	if c.Status != 0 {
		status = strconv.Itoa(c.Status)
	}
	text.WriteFields(w, [][2]string{
		{"call", c.ID.String()},
		{"provider's id", c.Correlation},
		{"connection", c.Connection},
		{"bucket", c.Bucket},
		{"purpose", string(c.Purpose)},
		{"request", c.Method + " " + c.Path},
		{"attempt", strconv.Itoa(c.Attempt)},
		{"sent", c.SentAt.UTC().Format("2006-01-02 15:04:05.000Z")},
		{"waited before", text.Took(c.Waited)},
		{"took", text.Took(c.Duration)},
		{"status", status},
		{"class", string(c.Class)},
		{"reason", c.Reason},
		{"pause asked for", optional(c.RetryAfter)},
		{"bytes", text.Thousands(int(c.Bytes))},
		{"run", number(c.Task.Run)},
		{"batch", number(c.Task.Batch)},
		{"consent", number(r.Consent)},
		{"dataset", string(c.Task.Dataset)},
		{"answer", answerText(r)},
	})
}

// answerText says what became of the answer's bytes.
func answerText(r read.CallRecord) string {
	if r.KeptUntil.IsZero() {
		return "not kept"
	}
	kept := "was kept until "
	if r.Kept {
		kept = "kept, sealed, until "
	}
	kept += text.Clock(r.KeptUntil)
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
	return text.Took(d)
}
