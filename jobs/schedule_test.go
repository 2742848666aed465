package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func oslo(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func schedule(t testing.TB, expr string) *Schedule {
	t.Helper()
	s, err := ParseSchedule(expr, oslo(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScheduleOnTheNightsOfTheClocks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, expr, after, until string
		want                     []string
	}{
		{"spring, inside the gap", "30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-30T12:00:00+02:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"autumn, inside the repeat", "30 2 * * *", "2026-10-24T12:00:00+02:00", "2026-10-26T12:00:00+01:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"autumn, asked between the two", "30 2 * * *", "2026-10-25T02:45:00+02:00", "2026-10-26T12:00:00+01:00",
			[]string{"2026-10-26T02:30:00+01:00"}},
		{"spring, two times in the gap are one", "0,30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T12:00:00+02:00",
			[]string{"2026-03-29T03:00:00+02:00"}},
		{"spring, the gap's end is a time of its own", "0 2,3 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T12:00:00+02:00",
			[]string{"2026-03-29T03:00:00+02:00"}},
		{"autumn, an interval keeps its pace", "*/30 * * * *", "2026-10-25T01:45:00+02:00", "2026-10-25T03:00:00+01:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00",
				"2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"}},
		{"spring, an interval keeps its pace", "*/30 * * * *", "2026-03-29T01:15:00+01:00", "2026-03-29T03:30:00+02:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"}},
		{"a leap day", "0 4 29 2 *", "2026-01-01T00:00:00+01:00", "2029-01-01T00:00:00+01:00",
			[]string{"2028-02-29T04:00:00+01:00"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := schedule(t, c.expr)
			ticks, all := s.Between(instant(t, c.after), instant(t, c.until), 100)
			var got []string
			for _, at := range ticks {
				got = append(got, at.Format(time.RFC3339))
			}
			if diff := cmp.Diff(c.want, got); diff != "" || all != len(c.want) {
				t.Errorf("%d ticks (-want +got):\n%s", all, diff)
			}
		})
	}
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestParseScheduleRefuses(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"0 0 31 2 *":          "never fires",
		"TZ=0":                "time_zone",
		"CRON_TZ=Europe/Oslo": "time_zone",
		"@every 5m":           "depends on when the process was started",
		"61 * * * *":          "61",
		"":                    "schedule",
		"0 0 * *":             "expected exactly 5 fields",
		"0 0 0 * * *":         "expected exactly 5 fields",
	} {
		_, err := ParseSchedule(expr, time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error that says %q", expr, err, want)
		}
	}
}

func TestBetweenKeepsTheNewest(t *testing.T) {
	t.Parallel()
	s := schedule(t, "0 * * * *")
	from := instant(t, "2026-06-01T00:00:00Z")
	ticks, all := s.Between(from, from.Add(14*24*time.Hour), 3)
	if all != 14*24 || len(ticks) != 3 || !ticks[2].Equal(from.Add(14*24*time.Hour)) {
		t.Errorf("got %d of %d, the last %v", len(ticks), all, ticks[len(ticks)-1])
	}
}

// A daily job fires exactly once on every calendar day, whatever the clocks do, and Next never goes back.
func TestDailyMeansDaily(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		expr := rapid.SampledFrom([]string{"30 2 * * *", "0 2 * * *", "59 1 * * *", "0 3 * * *", "15 23 * * *"}).Draw(t, "expr")
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "start"), 0)
		s, err := ParseSchedule(expr, zone)
		if err != nil {
			t.Fatal(err)
		}
		last := s.Next(at)
		for range 400 {
			next := s.Next(last)
			want := onWall(last.In(zone)).AddDate(0, 0, 1)
			if got := onWall(next.In(zone)); got.Year() != want.Year() || got.YearDay() != want.YearDay() {
				t.Fatalf("%s in %s: after %s comes %s", expr, zone, last, next)
			}
			last = next
		}
	})
}

func TestOneScheduleInOtherWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		one, other string
		same       bool
	}{
		{"*/15 * * * *", "0,15,30,45 * * * *", true},
		{"*/15 * * * *", "*/15 */1 * * *", true},
		{"* * * * *", "0-59 * * * *", true},
		{"30 2 * * *", "30 2 * * 0-6", false}, // of day and weekday, both no stars, either is enough: here that is the same, elsewhere not
		{"0 0 * * *", "@daily", true},
		{"30 2 * * *", "30 3 * * *", false},
		{"30 2 1 * 1", "30 2 1 * *", false},
		{"30 2 * * *", "no schedule", false},
	} {
		if got := schedule(t, test.one).Same(test.other + " Europe/Oslo"); got != test.same {
			t.Errorf("%s and %s: %v", test.one, test.other, got)
		}
	}
	if schedule(t, "30 2 * * *").Same("30 2 * * * UTC") {
		t.Error("another zone is another schedule")
	}
}
