package norskgjeld

import (
	"testing"
	"time"
)

// A consent that ends on a day ends with that day in Norway.
func TestADayMeansItsEndInNorway(t *testing.T) {
	t.Parallel()
	before, after := time.Date(2026, 6, 30, 21, 59, 0, 0, time.UTC), time.Date(2026, 6, 30, 22, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{before, after} {
		got, err := decodeStatus([]byte(`{"active":false,"expires_at":"2026-06-30"}`), now)
		if err != nil || !got.ValidUntil.Equal(after) {
			t.Fatalf("%+v, %v; want the end at %s", got, err, after)
		}
		if want := now.Equal(after); (got.Status == "expired") != want {
			t.Errorf("at %s the consent is %s", now, got.Status)
		}
	}
	if _, err := decodeStatus([]byte(`{"active":true,"expires_at":"the 30th"}`), before); err == nil {
		t.Error("a text that is no time was taken")
	}
}
