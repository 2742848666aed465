package vipps

import (
	"errors"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// report is one answer of the Report API.
type report struct {
	page     fetch.Page
	items    int
	cursor   string
	hasMore  bool
	tryLater bool
	null     bool     // there is no list of rows
	likes    []string // the likenesses of its rows
	follows  bool     // the first row goes on from the balance that was known
	chain    chain    // behind the last row
}

// broken says that the balances don't add up.
func (got *report) broken() bool { return got.page.Partial != "" }

// read reads an answer's rows, behind a chain, for a day or for the feed.
func (p *pass) read(a *fetch.Answer, behind chain, on finance.Date) (*report, error) {
	got, err := readReport(&rowReader{
		s: jsonread.Scan(a.Body), ledger: p.stream.Account, topic: p.cursor.Topic, gdpr: p.settings.IncludeGDPR, on: on,
	}, behind, p.cursor.Since)
	if err != nil {
		return nil, err
	}
	return got, p.stream.Vet(p.ctx, &got.page)
}

// readReport reads the envelope and the rows in it. An answer without items is no report but something that happens
// to be JSON; null items are none, and prove nothing. Rows booked before since are verified but not kept.
func readReport(r *rowReader, behind chain, since finance.Date) (*report, error) {
	got := &report{}
	listed := false
	k := newChecker(r.topic, behind)
	for o := r.s.Object(); o.Next(); {
		switch o.Key() {
		case "items":
			listed = true
			got.null = r.s.Peek() != '['
			got.rows(r, k, since)
		case "cursor":
			got.cursor = r.s.Text()
		case "hasMore":
			got.hasMore = flag(r.s)
		case "tryLater":
			got.tryLater = flag(r.s)
		}
	}
	switch {
	case r.s.End() != nil:
		return nil, r.s.Err()
	case !listed:
		return nil, errors.New("the answer is no report: items are missing")
	}
	got.page.Seen, got.page.Partial = got.items, k.report()
	got.chain = k.after()
	return got, nil
}

// flag reads a truth value, or the text of one: a client of the API takes it for a text.
func flag(s *jsonread.Scanner) bool {
	if s.Peek() == '"' {
		return s.Text() == "true"
	}
	return s.Bool()
}

func (got *report) rows(r *rowReader, k *checker, since finance.Date) {
	for a := r.s.Array(); a.Next(); got.items++ {
		var e entry
		r.row(&e)
		if why := a.Broken(); why != "" {
			r.extra.Reset()
			k.unreadable()
			got.page.Rejects = append(got.page.Rejects, a.Reject(why, ""))
			continue
		}
		if len(got.likes) == 0 {
			got.follows = k.Balance != nil && e.before != nil && *k.Balance == *e.before
		}
		k.row(&e, a.Place())
		got.likes = append(got.likes, e.ID[:strings.LastIndexByte(e.ID, '-')])
		e.Extra, e.Place = r.extra.JSON(), a.Place()
		if e.BookedOn >= since {
			got.page.Records.Transactions = jsonread.Append(r.s, got.page.Records.Transactions, e.Transaction)
		}
	}
}
