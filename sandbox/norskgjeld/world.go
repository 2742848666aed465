package norskgjeld

import (
	"time"

	"syncer/sandbox"
)

// Purposes of the hashes that the world is made from; each makes an
// independent stream of chance for the same index.
const (
	chanceScope uint64 = iota + 1
	chanceSingle
	chanceExpired
	chanceDays
	chanceJitter
	chanceDebtFree
	chanceMissing
	chanceLoans
	chanceSequence
)

const givenOver = 6 * 24 * time.Hour // the days before Start in which consents were given

// world makes consents from seed and index. It holds nothing: the consent
// number 999,999 is made when somebody asks for it.
type world struct {
	o   Options
	ids sandbox.UUIDs
}

func newWorld(o Options) world {
	return world{o: o, ids: sandbox.UUIDs{Seed: sandbox.Mix(o.Seed, 'c')}}
}

func (w world) hash(purpose uint64, index int) uint64 {
	return sandbox.Mix(w.o.Seed, purpose, uint64(index))
}

// happens draws with the given chance, by 53 bits of a hash.
func happens(hash uint64, chance float64) bool { return float64(hash>>11)/(1<<53) < chance }

// consent is seeded consent number index.
func (w world) consent(index int) ConsentInfo {
	c := ConsentInfo{
		ID:         w.ids.At(index),
		NationalID: sandbox.NationalID(w.o.Seed, index),
		Scope:      Presentation,
		GivenAt:    w.givenAt(index),
		ValidUntil: w.validUntil(index),
		SingleUse:  happens(w.hash(chanceSingle, index), w.o.SingleUse),
		ClientID:   w.o.Clients[0].ID,
	}
	if w.isProcessing(index) {
		c.Scope = Processing
	}
	c.ClientRef = "cnsl-" + c.ID[:8]
	return c
}

func (w world) isProcessing(index int) bool { return w.hash(chanceScope, index)%4 == 0 }

func (w world) expiredAtStart(index int) bool {
	return happens(w.hash(chanceExpired, index), w.o.Expired)
}

// givenAt is roughly in the order of the index; the jitter makes the feed's
// sequence differ from the order of time, as the documents warn.
func (w world) givenAt(index int) time.Time {
	at := w.o.Start.Add(-givenOver + givenOver/time.Duration(w.o.Consents)*time.Duration(index))
	jitter := w.hash(chanceJitter, index) % uint64(30*time.Minute)
	return at.Add(-time.Duration(jitter))
}

func (w world) validUntil(index int) time.Time {
	switch {
	case w.expiredAtStart(index):
		given := w.givenAt(index)
		return given.Add(w.o.Start.Sub(given) / 2).Truncate(time.Second)
	case happens(w.hash(chanceSingle, index), w.o.SingleUse):
		return w.o.Start.Add(w.o.SingleUseWindow)
	}
	days := max(1, int(w.o.Lifetime/(24*time.Hour)))
	if w.isProcessing(index) {
		days = min(days, maxDays(Processing))
	}
	return endOfDay(w.o.Start, 1+int(w.hash(chanceDays, index)%uint64(days)))
}

// endOfDay is the last second, in Norwegian winter time, of the day some days
// after t's.
func endOfDay(t time.Time, days int) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d+days, 22, 59, 59, 0, time.UTC)
}

func maxDays(scope string) int {
	if scope == Processing {
		return 28
	}
	return 365
}
