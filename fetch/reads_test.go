package fetch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// opens is the first call of a stream.
func opens(path string) fetch.Request {
	r := get(path)
	r.Opening, r.Task = true, calls.Task{Dataset: finance.Debts, Consent: &finance.Consent{ID: 1}}
	return r
}

func openings(l *fetchtest.CallStore) (n int) {
	for _, ask := range l.Asks() {
		if ask.Opening {
			n++
		}
	}
	return n
}

// The first call of an item's later stream is paid with the item; its repetition is not.
func TestALaterStreamPaysForItsRepetitionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(500, ""), answer(500, ""), answer(200, ""))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		r := opens("x")
		r.Continues = true
		if _, err := client(t, o).Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if n := openings(l); n != 2 || len(p.journal()) != 3 || len(l.Refunds()) != 0 {
			t.Errorf("%d reads spent for %d sends, %d given back", n, len(p.journal()), len(l.Refunds()))
		}
	})
}

// closing is a store that lets a call through for a slot in a second and closes the gate, or ends the consent, before.
type closing struct {
	*fetchtest.CallStore
	found calls.Admission // what a look shows
}

func (c *closing) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	a, err := c.CallStore.Admit(ctx, ask)
	a.SendIn = time.Second
	return a, err
}

func (c *closing) Look(context.Context, calls.Ask) (calls.Admission, error) { return c.found, nil }

func (c *closing) Holds(context.Context, calls.Said, time.Time) bool { return false }

// What was admitted and then not sent is given back, once, whatever it was that stopped it.
func TestAReadThatIsNotMadeIsGivenBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found calls.Admission
		want  finance.Class
	}{
		{"the gate closes for long", calls.Admission{Gate: time.Hour}, finance.Throttled},
		{"the consent ends while its call waits for its slot", calls.Admission{Refusal: finance.Refused, Reason: "consent ended: revoked"}, finance.Refused},
		{"the batch is taken over meanwhile", calls.Admission{Refusal: finance.Fenced}, finance.Fenced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				o.Calls = &closing{l, tt.found}
				_, err := client(t, o).Do(t.Context(), opens("x"))
				wantClass(t, err, tt.want)
				if n := len(p.journal()); n != 0 || openings(l) != 1 {
					t.Errorf("%d calls were sent, %d reads spent", n, openings(l))
				}
				if refunds := l.Refunds(); len(refunds) != 1 || refunds[0].Call.IsZero() || refunds[0].Call != l.Asks()[0].Call {
					t.Errorf("given back: %+v", refunds)
				}
			})
		})
	}
}

// An attempt that never got a connection has read nothing; one that broke on the way may have.
func TestOnlyWhatMayHaveArrivedIsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
		}}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		dial, dials := o.Dial, 0
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials <= 2 {
				return nil, errors.New("no route to host")
			}
			return dial(ctx, network, address)
		}
		if _, err := client(t, o).Do(t.Context(), opens("x")); err != nil {
			t.Fatal(err)
		}
		if n := openings(l); n != 2 || len(p.journal()) != 2 || len(l.Refunds()) != 0 {
			t.Errorf("%d reads spent for %d arrivals, %d given back", n, len(p.journal()), len(l.Refunds()))
		}
	})
}

// A call for data says which scopes its dataset needs; one for a status needs none.
func TestACallSaysWhichScopesItNeeds(t *testing.T) {
	p, l := &provider{handler: answers(answer(200, ""))}, fetchtest.NewCallStore()
	o := options(t, served(t, p), l)
	o.Driver.Scopes = map[finance.Dataset][]string{finance.Debts: {"show", "assess"}}
	c := client(t, o)
	status, accounts := opens("x"), opens("x")
	status.Purpose, accounts.Task.Dataset = calls.ForStatus, finance.Accounts
	var got [][]string
	for _, r := range []fetch.Request{opens("x"), status, accounts} {
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Asks()[len(l.Asks())-1].Needs)
	}
	if diff := cmp.Diff([][]string{{"show", "assess"}, nil, nil}, got); diff != "" {
		t.Error(diff)
	}
}
