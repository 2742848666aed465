package vipps_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/sandbox/vipps"
)

type row struct {
	PSPReference, Time, LedgerDate, EntryType, Currency string
	Reference, RecipientHandle                          *string
	Amount, BalanceBefore, BalanceAfter                 int64
	Name, Message, MaskedPhoneNo, SettlementBatch       string
}

type sheet struct {
	Cursor   string
	HasMore  *bool
	TryLater bool
	Items    []row
}

func (v *vendor) path(n int, topic, rest string) string {
	return vipps.ReportPath + v.Merchant(n).LedgerID + "/" + topic + "/" + rest
}

// feed reads a topic to its end and the pages on the way.
func (v *vendor) feed(t *testing.T, n int, topic string) (rows []row, pages []sheet) {
	t.Helper()
	cursor := ""
	for range 1000 {
		var p sheet
		v.get(t, v.path(n, topic, "feed?cursor="+url.QueryEscape(cursor))).Decode(t, &p)
		rows, pages = append(rows, p.Items...), append(pages, p)
		if p.TryLater || p.Cursor == cursor {
			return rows, pages
		}
		cursor = p.Cursor
	}
	t.Fatal("the feed has no end")
	return nil, nil
}

// date reads a day, and says whether it is open.
func (v *vendor) date(t *testing.T, n int, topic, day string) (rows []row, open bool) {
	t.Helper()
	for cursor := ""; ; {
		var p sheet
		v.get(t, v.path(n, topic, "dates/"+day+"?cursor="+url.QueryEscape(cursor))).Decode(t, &p)
		rows = append(rows, p.Items...)
		if cursor = p.Cursor; p.HasMore == nil || !*p.HasMore {
			return rows, p.TryLater
		}
	}
}

// TestEveryWorldHolds: in every world the balances form a chain, dates and feed have the same rows in the same order,
// and what was once served stays as it was.
func TestEveryWorldHolds(t *testing.T) {
	for name, o := range map[string]vipps.Options{
		"plain": {}, "weekly": {Settlement: "weekly"}, "gross": {Gross: true, Days: 70}, "reserve": {RollingReserve: 15, PageSize: 2},
		"negative": {NegativeDays: 5}, "late fees": {LateFees: true, PageSize: 7}, "busy": {PerDay: 900, Days: 3},
		"everything": {Disputes: true, Twins: true, Drift: true, LateFees: true, EmptyLast: true, EmptyTail: true, Market: "DK", PageSize: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.SpecializedTTL = time.Hour
			v := open(t, o)
			for _, topic := range []string{"funds", "fees"} {
				before, _ := v.feed(t, 1, topic)
				v.Kit.Clock.Advance(20 * time.Minute)
				rows, _ := v.feed(t, 1, topic)
				if len(before) < 10 || len(rows) < len(before) || !cmp.Equal(before, rows[:len(before)]) {
					t.Fatalf("%s: %d rows became %d", topic, len(before), len(rows))
				}
				chained(t, rows)
				var dated []row
				open := false
				for day := now.AddDate(0, 0, -80); !open && day.Before(now); day = day.AddDate(0, 0, 1) {
					var got []row
					got, open = v.date(t, 1, topic, day.Format(time.DateOnly))
					dated = append(dated, got...)
				}
				if len(dated) < 10 || !cmp.Equal(dated, rows[:len(dated)]) {
					t.Errorf("%s: dates and feed differ: %d rows by date", topic, len(dated))
				}
			}
		})
	}
}

func chained(t *testing.T, rows []row) {
	t.Helper()
	for i, r := range rows {
		if r.BalanceBefore+r.Amount != r.BalanceAfter || i > 0 && r.BalanceBefore != rows[i-1].BalanceAfter {
			t.Fatalf("the chain breaks at row %d: %+v", i, r)
		}
		if i > 0 && (r.Time < rows[i-1].Time || r.LedgerDate < rows[i-1].LedgerDate) {
			t.Fatalf("row %d is older than the one before", i)
		}
	}
}

func types(rows []row) map[string]int {
	out := map[string]int{}
	for _, r := range rows {
		out[r.EntryType]++
	}
	return out
}

// TestSwitches: each switch shows in the answers.
func TestSwitches(t *testing.T) {
	day := now.AddDate(0, 0, -2).Format(time.DateOnly)
	today := now.Format(time.DateOnly)
	for name, c := range map[string]struct {
		o     vipps.Options
		holds func(*testing.T, *vendor) bool
	}{
		"payouts by their name": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return types(r)["payout-scheduled"] == 10
		}},
		"payouts by their old name": {vipps.Options{OldTypes: true}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return types(r)["scheduled-for-payout"] == 10
		}},
		"a payout ends its day": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			r, open := v.date(t, 1, "funds", day)
			last := r[len(r)-1]
			return !open && last.EntryType == "payout-scheduled" && last.BalanceAfter == 0 && last.Reference == nil && strings.HasPrefix(last.PSPReference, v.Merchant(1).LedgerID+"-")
		}},
		"a reserve stays behind": {vipps.Options{RollingReserve: 50}, func(t *testing.T, v *vendor) bool {
			r, _ := v.date(t, 1, "funds", day)
			return r[len(r)-1].BalanceAfter > 0
		}},
		"no payout of a debt": {vipps.Options{NegativeDays: 99}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return types(r)["payout-scheduled"] == 0 && r[len(r)-1].BalanceAfter < 0
		}},
		"fees retained from both": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			a, _ := v.date(t, 1, "funds", day)
			b, _ := v.date(t, 1, "fees", day)
			return a[len(a)-2].EntryType == "fees-retained" && b[len(b)-1].EntryType == "fees-retained" && a[len(a)-2].Amount == -b[len(b)-1].Amount
		}},
		"fees invoiced": {vipps.Options{Gross: true, Days: 70}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "fees")
			return types(r)["fees-invoiced"] == 2 && types(r)["fees-retained"] == 0
		}},
		"fees a day late": {vipps.Options{LateFees: true}, func(t *testing.T, v *vendor) bool {
			a, _ := v.date(t, 1, "funds", day)
			b, _ := v.date(t, 1, "fees", now.AddDate(0, 0, -1).Format(time.DateOnly))
			return a[0].PSPReference == b[0].PSPReference && b[0].EntryType == "capture-fee"
		}},
		"disputes": {vipps.Options{Disputes: true, Days: 60}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			n := types(r)
			return n["retained-disputed-capture"] > 0 && n["returned-disputed-capture"] > 0 && n["payout-aborted"] > 0
		}},
		"twins": {vipps.Options{Twins: true}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			for i := range len(r) - 2 {
				if cmp.Equal(r[i], r[i+2]) {
					return true
				}
			}
			return false
		}},
		"types and fields of tomorrow": {vipps.Options{Drift: true}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return types(r)["loyalty-bonus"] > 0 && r[0].SettlementBatch != ""
		}},
		"an offset without a colon": {vipps.Options{OffsetTimes: true}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return strings.HasSuffix(r[0].Time, "+0100")
		}},
		"no ledger date": {vipps.Options{NoLedgerDate: true}, func(t *testing.T, v *vendor) bool { r, _ := v.feed(t, 1, "funds"); return r[0].LedgerDate == "" }},
		"weekly settlement is open all week": {vipps.Options{Settlement: "weekly"}, func(t *testing.T, v *vendor) bool {
			_, monday := v.date(t, 1, "funds", "2026-11-16")
			_, sunday := v.date(t, 1, "funds", "2026-11-15")
			return monday && !sunday
		}},
		"monthly settlement is open all month": {vipps.Options{Settlement: "monthly", Days: 40}, func(t *testing.T, v *vendor) bool {
			_, first := v.date(t, 1, "funds", "2026-11-01")
			_, last := v.date(t, 1, "funds", "2026-10-31")
			return first && !last
		}},
		"an open date is empty": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			return v.get(t, v.path(1, "funds", "dates/"+today)).Body == `{"tryLater":true,"items":[]}`
		}},
		"an open date with rows": {vipps.Options{OpenRows: true}, func(t *testing.T, v *vendor) bool { r, open := v.date(t, 1, "funds", today); return open && len(r) > 0 }},
		"an open date is a 404": {vipps.Options{Open404: true}, func(t *testing.T, v *vendor) bool {
			r := v.get(t, v.path(1, "funds", "dates/"+today))
			return r.Status == 404 && !strings.Contains(r.Body, "ledgerId")
		}},
		"the report comes at three": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			v.Kit.Clock.Set(time.Date(2026, 11, 21, 1, 59, 0, 0, time.UTC))
			_, before := v.date(t, 1, "funds", today)
			v.Kit.Clock.Advance(time.Minute)
			_, after := v.date(t, 1, "funds", today)
			return before && !after
		}},
		"the feed lags": {vipps.Options{FeedLag: 48 * time.Hour}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return r[len(r)-1].LedgerDate == day
		}},
		"the feed's tail has rows": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			_, p := v.feed(t, 1, "funds")
			return len(p) == 1 && p[0].TryLater && p[0].HasMore == nil
		}},
		"the feed's tail is empty": {vipps.Options{EmptyTail: true}, func(t *testing.T, v *vendor) bool {
			_, p := v.feed(t, 1, "funds")
			return len(p) == 2 && len(p[1].Items) == 0 && p[1].TryLater && p[1].Cursor == p[0].Cursor
		}},
		"the feed never says stop": {vipps.Options{StuckFeed: true}, func(t *testing.T, v *vendor) bool {
			_, p := v.feed(t, 1, "funds")
			return len(p) == 2 && !p[1].TryLater && p[1].Cursor == p[0].Cursor
		}},
		"pages": {vipps.Options{PageSize: 2}, func(t *testing.T, v *vendor) bool {
			_, p := v.feed(t, 1, "funds")
			return len(p) > 20 && len(p[0].Items) == 2 && strings.HasSuffix(p[0].Cursor, "=")
		}},
		"an empty page behind hasMore": {vipps.Options{EmptyLast: true}, func(t *testing.T, v *vendor) bool {
			var p sheet
			v.get(t, v.path(1, "funds", "dates/"+day)).Decode(t, &p)
			var q sheet
			v.get(t, v.path(1, "funds", "dates/"+day+"?cursor="+url.QueryEscape(p.Cursor))).Decode(t, &q)
			return *p.HasMore && len(p.Items) > 0 && !*q.HasMore && len(q.Items) == 0
		}},
		"nobody's name": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 2, "funds")
			return r[0].Name == "" && r[0].MaskedPhoneNo == ""
		}},
		"names on request, of VM-numbers only": {vipps.Options{}, func(t *testing.T, v *vendor) bool {
			var vm, api sheet
			v.get(t, v.path(2, "funds", "feed?includeGDPRSensitiveData=true")).Decode(t, &vm)
			v.get(t, v.path(1, "funds", "feed?includeGDPRSensitiveData=true")).Decode(t, &api)
			return vm.Items[0].Name != "" && strings.HasPrefix(vm.Items[0].MaskedPhoneNo, "xxxx ") && api.Items[0].Name == ""
		}},
		"names that nobody asked for": {vipps.Options{LeakPersonal: true}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return r[0].Name != "" && r[0].Message != ""
		}},
		"Danish kroner": {vipps.Options{Market: "DK"}, func(t *testing.T, v *vendor) bool {
			r, _ := v.feed(t, 1, "funds")
			return r[0].Currency == "DKK" && *r[0].RecipientHandle == "api:700002"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v := open(t, c.o); !c.holds(t, v) {
				t.Error("the switch does not show")
			}
		})
	}
}

// TestRowsAreCounted: what the simulator says of itself is what a reader finds.
func TestRowsAreCounted(t *testing.T) {
	v := open(t, vipps.Options{Disputes: true, PageSize: 9})
	a, _ := v.feed(t, 4, "funds")
	b, _ := v.feed(t, 4, "fees")
	if fmt.Sprint(len(a)+len(b)) != fmt.Sprint(v.Rows(4)) {
		t.Errorf("%d and %d rows of %d", len(a), len(b), v.Rows(4))
	}
}
