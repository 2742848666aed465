package vipps

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

func TestCursorsThatCantBeRight(t *testing.T) {
	for name, text := range map[string]string{
		"another version": `{"v":2,"by":"feed"}`, "no version": `{"by":"feed"}`, "no way of reading": `{"v":1}`, "another way": `{"v":1,"by":"month"}`,
		"a field of somebody else": `{"v":1,"by":"feed","through":"2026-01-01"}`, "two values": `{"v":1,"by":"feed"}{}`, "cut": `{"v":1,"by":"fe`,
		"another topic": `{"v":1,"by":"feed","topic":"payouts"}`, "a date in the feed": `{"v":1,"by":"feed","funds":{"through":"2026-01-01"}}`,
		"a feed in the dates": `{"v":1,"by":"dates","fees":{"feed":"x"}}`, "the future": `{"v":1,"by":"dates","funds":{"through":"2999-01-01"}}`,
		"a future since": `{"v":1,"by":"feed","since":"2999-01-01"}`, "a since in the dates": `{"v":1,"by":"dates","since":"2026-01-01"}`,
		"a day between passes": `{"v":1,"by":"dates","funds":{"day":{"on":"2026-01-01"}}}`, "a day of the other topic": `{"v":1,"by":"dates","topic":"fees","funds":{"day":{"on":"2026-01-01"}}}`,
		"a day before the API":  `{"v":1,"by":"dates","topic":"funds","funds":{"day":{"on":"2019-01-01"}}}`,
		"a doubt in the future": `{"v":1,"by":"dates","fees":{"doubt":{"through":"2999-01-01"}}}`,
		"a tail without end":    `{"v":1,"by":"feed","funds":{"chain":{"tail":["a","b","c","d","e","f","g","h","i"]}}}`,
	} {
		if c, err := readCursor(text, byFeed, 0, today); err == nil || strings.Contains(err.Error(), "2999") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for _, text := range []string{`{"v":2,"at":"x"}`, `{"v":1}`, `{"v":1,"at":"x","day":1}`, "{", "null"} {
		if l, err := readListing(text); err == nil {
			t.Errorf("%s: %+v", text, l)
		}
	}
}

func TestACursorComesBackAsItWas(t *testing.T) {
	balance := int64(-5)
	for _, c := range []cursor{
		{V: 1, By: byFeed, Topic: fees, Since: today - 5, Funds: topicState{Feed: "a==", Chain: chain{Balance: &balance, Tail: []string{"x-0"}}}},
		{V: 1, By: byDates, Topic: funds, Funds: topicState{Through: today - 2, Day: &day{On: today - 1, Page: "x", Open: true, Chain: chain{Balance: &balance}},
			Doubt: &doubt{Through: today - 3, Chain: chain{Balance: &balance}}}, Fees: topicState{Through: today}},
	} {
		got, err := readCursor(cursorText(c), c.By, 0, today)
		if diff := cmp.Diff(c, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
}

func TestWhereAPassByDatesBegins(t *testing.T) {
	balance := int64(9)
	behind := chain{Balance: &balance}
	for name, c := range map[string]struct {
		since, until, through finance.Date
		want                  day
	}{
		"at the oldest day wanted":      {today - 3, 0, 0, day{On: today - 3}},
		"at the first day there is":     {0, 0, 0, day{On: earliest}},
		"behind the last closed day":    {today - 30, 0, today - 2, day{On: today - 1, Chain: behind}},
		"however old that is":           {today - 3, 0, today - 20, day{On: today - 19, Chain: behind}},
		"with nothing new":              {today - 30, 0, today, day{On: today}},
		"at the end of a window":        {today - 30, today - 10, today - 10, day{On: today - 10}},
		"with a window in the future":   {today + 3, today + 9, 0, day{On: today}},
		"with a window before the data": {1, 2, 0, day{On: earliest}},
	} {
		s := stream("410001")
		s.Since, s.Until = c.since, c.until
		p, at := pass{stream: s, by: byDates}, topicState{Through: c.through, Chain: behind}
		if p.enter(&at); !cmp.Equal(c.want, *at.Day) {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, *at.Day))
		}
	}
}
