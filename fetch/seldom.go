package fetch

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// seldomEvery is how often the log is told what every answer of a provider may say.
const seldomEvery = time.Minute

// seldom keeps what may be said of each answer from being said of each: a provider that sends a Retry-After which can't be
// read sends it with a hundred thousand answers.
type seldom struct {
	mu   sync.Mutex
	said map[string]*saidOf
}

// saidOf is what the log was told of one thing.
type saidOf struct {
	at   time.Time // the last time
	more int       // times since then
}

// of gives the event if what was not told in the last minute, with the number of times that it would have been; nil, which
// tells nothing, if it was.
func (s *seldom) of(what string, event *zerolog.Event) *zerolog.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == nil {
		s.said = map[string]*saidOf{}
	}
	last := s.said[what]
	if last == nil {
		last = &saidOf{}
		s.said[what] = last
	}
	if !last.at.IsZero() && time.Since(last.at) < seldomEvery {
		last.more++
		return nil
	}
	if last.more > 0 {
		event.Int("suppressed", last.more)
	}
	last.at = time.Now()
	last.more = 0
	return event
}
