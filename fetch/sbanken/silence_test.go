package sbanken

import (
	"context"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// known says whether other records are stored than those shown.
type known bool

func (known) Stored(context.Context, *finance.Records) (bool, error) { return true, nil }

func (k known) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (k known) Others(context.Context, finance.Extent, []string) (bool, error) { return bool(k), nil }

// A null in the place of a list proves nothing, though it counts none: what is known stays, and the item says so.
func TestAListThatIsNull(t *testing.T) {
	const null, none = `{"availableItems":0,"items":null}`, `{"availableItems":0,"items":[]}`
	for name, c := range map[string]struct {
		body    string
		known   known
		partial bool
		whole   bool
	}{
		"null, some known":  {null, true, true, false},
		"null, none known":  {null, false, false, false},
		"empty, some known": {none, true, false, true},
	} {
		check := func(what string, page fetch.Page, err error) {
			t.Helper()
			whole := c.whole && what != archive // nothing is declared whole of the archive
			if err != nil || (page.Partial != "") != c.partial || (page.Whole != nil) != whole {
				t.Errorf("%s, %s: partial %q, whole %v, %v", what, name, page.Partial, page.Whole, err)
			}
		}
		s := fetch.Stream{Stream: finance.Stream{Account: "A"}, Today: today, Rows: c.known}
		page, err := decodeAccounts([]byte(c.body), finance.Subject{}, false)
		if err == nil {
			err = unlisted(t.Context(), &s, &page)
		}
		check("accounts", page, err)
		for _, at := range []position{
			{List: archive, From: today.AddDays(-5), To: today},
			{List: recent, From: today.AddDays(-5), Over: today.AddDays(-5)},
		} {
			p := &pass{ctx: t.Context(), settings: paged, stream: s, cursor: cursor{V: 1}, at: at}
			page, err := p.decode(&fetch.Answer{Body: []byte(c.body)})
			check(at.List, page, err)
			next, _ := readCursor(page.Next, today)
			if at.List == archive && next.Again.IsZero() == c.partial {
				t.Errorf("%s: the next pass begins at %s", name, next.Again)
			}
		}
	}
}
