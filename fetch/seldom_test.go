package fetch

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// What each answer says is told once a minute, with how often it was not told since; another thing has its own minute.
func TestWhatEachAnswerSaysIsToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		to := zerolog.New(&log)
		var s seldom
		for range 90 {
			s.of("bad", to.Warn()).Msg("bad pause")
			<-time.After(time.Second)
		}
		s.of("clock", to.Warn()).Msg("bad clock")
		if got := log.String(); strings.Count(got, "bad pause") != 2 || strings.Count(got, "bad clock") != 1 ||
			!strings.Contains(got, `"suppressed":59,"message":"bad pause"`) {
			t.Errorf("the log is told:\n%s", got)
		}
	})
}
