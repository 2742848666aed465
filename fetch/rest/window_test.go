package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

// bankAPI is an API of transactions by day, which gives so many days back and no more.
type bankAPI struct {
	oldest finance.Date // the first day given; a from before it is refused
	status int
	rows   []map[string]any                           // with a day
	show   func(row map[string]any, q [2]string) bool // whether a row stands in an answer; nil: by its day
	calls  int
}

func (l *bankAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.calls++
	q := [2]string{r.URL.Query().Get("from"), r.URL.Query().Get("to")}
	if q[0] < l.oldest.String() {
		w.WriteHeader(l.status)
		fmt.Fprint(w, `{"code":"PERIOD_INVALID"}`)
		return
	}
	rows := []map[string]any{}
	for _, row := range l.rows {
		day := row["day"].(string)
		if l.show == nil && q[0] <= day && day <= q[1] || l.show != nil && l.show(row, q) {
			rows = append(rows, row)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"rows": rows})
}

func row(id any, day finance.Date) map[string]any {
	return map[string]any{"id": id, "day": day.String(), "amount": "-10.00", "currency": "NOK", "text": "x"}
}

func datedDescription(pagination, id string) string {
	return strings.NewReplacer("PAGINATION", pagination, "ID", id).Replace(`title: Days
base_url: https://api.example/v1
token: { dialect: none }
errors: { code: code }
check: { path: ping }
datasets:
  accounts:
    request: { path: "{consent}/accounts" }
    records: accounts
    fields: { id: id }
  transactions:
    request: { path: "{consent}/{account}", query: { from: "{since}", to: "{until}" } }
    records: rows
    pagination: { PAGINATION }
    fields: { id: ID, booked_on: day, amount: amount, currency: currency, text: text }
`)
}

func daysStream(history int) fetch.Stream {
	s := stream()
	s.Dataset, s.Account = finance.Transactions, "acc-1"
	s.Since = today.AddDays(-history)
	return s
}

func transactionIDs(pages []fetch.Page) (ids []string) {
	for i := range pages {
		for _, t := range pages[i].Records.Transactions {
			if !slices.Contains(ids, t.ID) {
				ids = append(ids, t.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func partials(pages []fetch.Page) (says []string) {
	for i := range pages {
		if pages[i].Partial != "" {
			says = append(says, pages[i].Partial)
		}
	}
	return says
}

func TestWhatAProviderGivesIsReadWhereItRefusesOlderDays(t *testing.T) {
	for name, pagination := range map[string]string{"in one question": "", "in windows": "windows: { days: 30 }"} {
		for _, status := range []int{400, 416, 422} {
			for _, given := range []int{0, 1, 2, 29, 30, 31, 45, 59} {
				oldest := today.AddDays(-given)
				api := &bankAPI{oldest: oldest, status: status, rows: []map[string]any{
					row("before", oldest.AddDays(-1)), row("first", oldest), row("today", today),
				}}
				client := described(t, datedDescription(pagination, "id"), api)
				got, err := client.Read(t.Context(), daysStream(60), "")
				if err != nil {
					t.Fatalf("%s, %d days given, status %d: %v", name, given, status, err)
				}
				if diff := cmp.Diff([]string{"first", "today"}, transactionIDs(got)); diff != "" {
					t.Errorf("%s, %d days given: %s", name, given, diff)
				}
				want := fmt.Sprintf("the provider refuses the days before %s; wanted were those from %s on", oldest, today.AddDays(-60))
				if diff := cmp.Diff([]string{want}, partials(got)); diff != "" || api.calls > 12 {
					t.Errorf("%s, %d days given: %d calls, %s", name, given, api.calls, diff)
				}
				api.calls = 0
				again, err := client.Read(t.Context(), daysStream(60), got[len(got)-1].Next)
				if err != nil || len(partials(again)) > 0 || api.calls != 1 {
					t.Errorf("%s, %d days given, the next pass: %d calls, partial %q, %v", name, given, api.calls, partials(again), err)
				}
			}
		}
	}
}

func TestARefusalThatDoesNotMeanTheDaysFailsTheItem(t *testing.T) {
	for _, pagination := range []string{"", "windows: { days: 30 }"} {
		api := &bankAPI{oldest: today + 1, status: 400}
		_, err := described(t, datedDescription(pagination, "id"), api).Read(t.Context(), daysStream(60), "")
		if fetch.ClassOf(err) != finance.Rejected || !strings.Contains(err.Error(), "PERIOD_INVALID") || api.calls > 3 {
			t.Errorf("%q: %d calls, %v", pagination, api.calls, err)
		}
	}
}

// The limit slides with the days; what came since the watermark is given, so nothing is missing.
func TestALimitThatSlidesIsNotMissingEveryNight(t *testing.T) {
	api := &bankAPI{oldest: today.AddDays(-5), status: 400, rows: []map[string]any{row("a", today)}}
	client := described(t, datedDescription("windows: { days: 30 }", "id"), api)
	got, err := client.Read(t.Context(), daysStream(60), "")
	for night := 1; night <= 3 && err == nil; night++ {
		api.calls = 0
		api.oldest = today.AddDays(night - 5)
		s := daysStream(60)
		s.Today = today.AddDays(night)
		got, err = client.Read(t.Context(), s, got[len(got)-1].Next)
		if len(partials(got)) > 0 || api.calls != 1 {
			t.Errorf("night %d: %d calls, partial %q", night, api.calls, partials(got))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A record is stored wherever it is shown: once, if it shows in two windows, and also if only a neighbour's shows it.
func TestRecordsAtTheEdgesOfWindows(t *testing.T) {
	edge := today.AddDays(-30) // the last day of the first of two windows
	for name, show := range map[string]func(map[string]any, [2]string) bool{
		"an end that includes the next day": func(r map[string]any, q [2]string) bool {
			return q[0] <= r["day"].(string) && r["day"].(string) <= next(q[1], 1)
		},
		"another zone: the day before": func(r map[string]any, q [2]string) bool {
			return next(q[0], -1) <= r["day"].(string) && r["day"].(string) <= next(q[1], -1)
		},
		"from and to ignored": func(map[string]any, [2]string) bool { return true },
	} {
		for _, id := range []string{"id", "{ hash: [booked_on, amount, text] }"} {
			api := &bankAPI{show: show, rows: []map[string]any{
				row("early", today.AddDays(-59)), row("edge", edge), row("behind", edge+1), row("late", today.AddDays(-1)),
			}}
			got, err := described(t, datedDescription("windows: { days: 30 }", id), api).Read(t.Context(), daysStream(59), "")
			if err != nil || len(transactionIDs(got)) != 4 {
				t.Errorf("%s, id %s: %d records, %v", name, id, len(transactionIDs(got)), err)
			}
		}
	}
}

func next(day string, n int) string {
	d, err := finance.ParseDate(day)
	if err != nil {
		return day
	}
	return d.AddDays(n).String()
}

// Twins of one day are numbered within its window, and get the same numbers in every window that shows them.
func TestTwinsInWindows(t *testing.T) {
	everywhere := func(map[string]any, [2]string) bool { return true }
	api := &bankAPI{show: everywhere, rows: []map[string]any{row(nil, today.AddDays(-40)), row(nil, today.AddDays(-40)), row(nil, today)}}
	client := described(t, datedDescription("windows: { days: 30 }", "{ hash: [booked_on, amount, text] }"), api)
	got, err := client.Read(t.Context(), daysStream(59), "")
	if err != nil || len(transactionIDs(got)) != 3 {
		t.Errorf("%d records, %v", len(transactionIDs(got)), err)
	}
}

// However a list ends, what is missing from it is looked for by the next pass.
func TestALackIsComeBackTo(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // the first page for ever, and it says that there is more
		_ = json.NewEncoder(w).Encode(map[string]any{"rows": []map[string]any{row("a", today)}, "more": true})
	})
	description := datedDescription("windows: { days: 30 }, page: { parameter: page, has_more: more }", "id")
	got, err := described(t, description, api).Read(t.Context(), daysStream(40), "")
	if err != nil || len(partials(got)) == 0 {
		t.Fatal(partials(got), err)
	}
	if want := `"again":"` + today.AddDays(-40).String() + `"`; !strings.Contains(got[len(got)-1].Next, want) {
		t.Errorf("the next pass begins at %s, want %s", got[len(got)-1].Next, want)
	}
}

func TestABodyWithAnotherLinkHeaderIsAnotherPage(t *testing.T) {
	link := ""
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			fmt.Fprint(w, `{"rows":[{"id":"3"}]}`)
			return
		}
		if link != "" {
			w.Header().Set("Link", link)
		}
		fmt.Fprint(w, `{"rows":[{"id":"1"},{"id":"2"}]}`)
	})
	client := described(t, paged("{ link_header: {} }"), api)
	s := stream()
	first, err := client.Read(t.Context(), s, "")
	if err != nil || len(first) != 1 {
		t.Fatal(len(first), err)
	}
	s.Kept = func(key finance.PageKey) (finance.Kept, bool) {
		facts := finance.Facts{Done: true, Records: 2}
		return finance.Kept{Body: first[0].Answer.Hash, Facts: facts}, key == first[0].Key
	}
	if same, err := client.Read(t.Context(), s, ""); err != nil || !same[0].Unchanged {
		t.Error("the same page is not passed over", err)
	}
	link = `<?page=2>; rel="next"`
	if grown, err := client.Read(t.Context(), s, ""); err != nil || len(idsOf(grown)) != 3 {
		t.Errorf("%v, %v", idsOf(grown), err)
	}
}

// A window that is refused behind one that was given is not refused for its age: the item fails there, and goes on there.
func TestARefusalInTheMiddleIsNotAboutTheDays(t *testing.T) {
	api := &bankAPI{rows: []map[string]any{row("old", today.AddDays(-50)), row("new", today.AddDays(-5))}}
	refuse := true
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse && r.URL.Query().Get("from") > today.AddDays(-40).String() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		api.ServeHTTP(w, r)
	})
	client := described(t, datedDescription("windows: { days: 20 }", "id"), server)
	got, err := client.Read(t.Context(), daysStream(59), "")
	if fetch.ClassOf(err) != finance.Rejected || len(got) != 1 {
		t.Fatalf("%d pages, %v", len(got), err)
	}
	refuse = false
	rest, err := client.Read(t.Context(), daysStream(59), got[0].Next)
	if diff := cmp.Diff([]string{"new", "old"}, transactionIDs(append(got, rest...))); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// What is pending is taken from the window that ends today, whatever windows show it, and nothing of it is held against the
// others.
func TestPendingIsTakenFromTodaysWindowOnly(t *testing.T) {
	description := strings.Replace(datedDescription("windows: { days: 30 }", "{ hash: [booked_on, amount, text] }"),
		"    records: rows\n", "    records: [{ path: rows, status: booked }, { path: held, status: pending }]\n    whole_pending: true\n", 1)
	for name, description := range map[string]string{
		"a list of its own": description,
		"a status of each record": strings.NewReplacer(
			"{ path: held, status: pending }", "held", "booked_on: day", "booked_on: day, status: { path: state, default: booked }",
		).Replace(description),
	} {
		api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held := []map[string]any{row(nil, today), row(nil, today), row(nil, today)}
			for _, h := range held {
				h["day"], h["state"] = nil, "pending"
			}
			held[2]["amount"] = "much"
			_ = json.NewEncoder(w).Encode(map[string]any{"rows": []map[string]any{row("b", today.AddDays(-200))}, "held": held})
		})
		got, err := described(t, description, api).Read(t.Context(), daysStream(265), "")
		if err != nil || len(got) != 9 {
			t.Fatalf("%s: %d pages, %v", name, len(got), err)
		}
		pending := 0
		for i := range got {
			for _, x := range got[i].Records.Transactions {
				if x.Status == finance.Pending {
					pending++
				}
			}
			last := i == len(got)-1
			if refused := len(got[i].Rejects) > 0; refused && !last && name == "a list of its own" || last && !refused {
				t.Errorf("%s: %d records of page %d are refused", name, len(got[i].Rejects), i+1)
			}
		}
		if pending != 2 {
			t.Errorf("%s: %d copies of two that are pending", name, pending)
		}

		yesterday := daysStream(265)
		yesterday.Until = today.AddDays(-1)
		got, err = described(t, description, api).Read(t.Context(), yesterday, "")
		if err != nil || len(transactionIDs(got)) != 1 {
			t.Errorf("%s: a backfill up to yesterday has %d records, %v", name, len(transactionIDs(got)), err)
		}
	}
}
