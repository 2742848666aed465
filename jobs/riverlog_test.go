package jobs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// What River logs has the names and the units of our own lines.
func TestRiverLogsAsWeDo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(riverLog{zerolog.NewSlogHandler(zerolog.New(&out))})
	log.With(slog.String("err", "lost"), slog.Duration("after", 90*time.Second)).Error("a job failed", "err", "boom", "wait", 1500*time.Millisecond)
	for _, want := range []string{`"error":"lost"`, `"error":"boom"`, `"after":"1m30s"`, `"wait":"1.5s"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), `"err"`) {
		t.Errorf("an error has two names: %s", out.String())
	}
}
