package vipps

import (
	"context"
	"errors"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

const (
	ledgersPath    = "settlement/v1/ledgers"
	ledgersVersion = "vipps-ledgers-1"
)

// listed is what a reading of the ledgers has shown so far.
type listed struct {
	begun bool // the first page too
	ids   []string
}

func (c *connector) ledgers(ctx context.Context, s fetch.Stream, from string, l *listed) (fetch.Step, error) {
	at, err := readListing(from)
	if err != nil {
		return fetch.Step{}, err
	}
	if s.Task.Consent == nil {
		return fetch.Step{}, errors.New("ledgers are listed for the recipient of a consent, and the stream has none")
	}
	handle, err := recipient(s.Task.Consent)
	if err != nil {
		return fetch.Step{}, &fetch.Error{Class: finance.Rejected, Op: "GET /" + ledgersPath, Reason: err.Error()}
	}
	r := c.request(s.Task, calls.ForData)
	r.Path = ledgersPath
	r.Template = "/" + ledgersPath
	r.Query.Set("settlesForRecipientHandles", handle)
	if at.At != "" {
		r.Query.Set("cursor", at.At)
	}
	var anew func() string
	if at.At != "" {
		anew = func() string { return "" }
	}
	return fetch.Step{
		Request: r, Version: ledgersVersion + " " + from, First: at.At == "", Afresh: true, Set: "ledgers", Anew: anew,
		End: func(p *fetch.Page) error { p.Next, p.Done = "", true; return nil },
		Decode: func(a *fetch.Answer) (fetch.Page, error) {
			page, told, err := decodeLedgers(a.Body, handle, at)
			if errors.Is(err, errNoLedger) {
				return page, failed(a, finance.Withheld, "GET /"+ledgersPath, err.Error())
			}
			if err != nil {
				return page, err
			}
			if at.At == "" {
				*l = listed{begun: true}
			}
			for i := range page.Records.Accounts {
				l.ids = append(l.ids, page.Records.Accounts[i].ID)
			}
			if told {
				c.led.Note()
			}
			if page.Done && !told && !c.led.Seen() {
				page.Whole = nil // see silence
			}
			return page, l.silence(ctx, &s, &page)
		},
	}, nil
}

// silence finds out whether something is missing from a list that ended without saying so: its items are null, or no answer
// has had a cursor tonight, where the vendor always writes one. Nothing is missing if no other ledgers are known.
func (l *listed) silence(ctx context.Context, s *fetch.Stream, page *fetch.Page) error {
	if !l.begun || !endsInSilence(page) {
		return nil
	}
	others, err := s.Others(ctx, finance.Extent{}, l.ids)
	if others {
		page.Partial = "the answer does not say that these are all ledgers, and others are known"
	}
	return err
}

// endsInSilence says that a last page proves nothing, although nothing is missing from it.
func endsInSilence(page *fetch.Page) bool {
	if !page.Done || page.Whole != nil {
		return false
	}
	return page.Partial == "" && len(page.Rejects) == 0
}

var errNoLedger = errors.New("no ledger is listed for the recipient: the merchant has not granted access, or has no such sales unit")

type ledgerDecoder struct {
	s      *jsonread.Scanner
	extra  jsonread.Extra
	handle string
	page   fetch.Page
	listed bool // there is a member items
	null   bool // which is no list
	items  int
	others int // ledgers that don't settle for the recipient
}

// decodeLedgers reads a page of ledgers. No ledger at all means that the merchant has not granted access, so the item
// is excused and what was read while access lasted stays. A list of which nothing settles for the consent's recipient
// is somebody else's and refused as a whole. told says that the cursor, which leads on, stands in the answer.
func decodeLedgers(body []byte, handle string, at listing) (page fetch.Page, told bool, err error) {
	d := ledgerDecoder{s: jsonread.Scan(body), handle: handle}
	next := ""
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "items":
			d.listed = true
			d.null = d.s.Peek() != '['
			d.list()
		case "cursor":
			told = true
			next = d.s.Text()
		}
	}
	accounts := d.page.Records.Accounts
	switch {
	case d.s.End() != nil:
		return page, told, d.s.Err()
	case !d.listed:
		return page, told, errors.New("the answer is no list of ledgers: items are missing")
	case d.others > 0 && len(accounts) == 0:
		return page, told, fetch.WrongSubject("none of the ledgers settles for the recipient of the consent")
	case next == "" && d.isEmpty() && at.shownNone():
		return page, told, errNoLedger
	}
	d.page.Vet()
	d.page.Seen = d.items
	stays := next != "" && next == at.At
	if stays && d.items > 0 {
		d.page.Partial = "the list of ledgers stays where it is although it may have more"
	}
	if next == "" || stays {
		d.page.Done = true
		d.page.Whole = d.whole()
		return d.page, told, nil
	}
	if d.null {
		d.page.Partial = "an answer has no list of ledgers"
	}
	d.page.More = true
	d.page.Next = cursorText(listing{V: 1, At: next, Some: at.Some || d.items > 0})
	return d.page, told, nil
}

// isEmpty says that the answer has a list, and nothing in it.
func (d *ledgerDecoder) isEmpty() bool { return d.items == 0 && !d.null }

// whole is what the last page proves.
func (d *ledgerDecoder) whole() *finance.Whole {
	if d.null || d.page.Hidden() {
		return nil
	}
	if d.page.Partial != "" {
		return nil
	}
	return &finance.Whole{}
}

// shownNone says that there were no ledgers on the pages behind us.
func (l *listing) shownNone() bool {
	if l.Some || l.Broken {
		return false
	}
	return len(l.Earlier) == 0
}

func (d *ledgerDecoder) list() {
	for a := d.s.Array(); a.Next(); d.items++ {
		account, handles := d.ledger()
		if d.s.Err() == nil && finance.IsBlank(account.ID) {
			d.s.Fail("a ledger without an id")
		}
		if why := a.Broken(); why != "" {
			d.extra.Reset()
			d.page.Rejects = append(d.page.Rejects, a.Reject(why, account.ID))
			continue
		}
		account.Extra, account.Place = d.extra.JSON(), a.Place()
		if !slices.ContainsFunc(handles, func(h string) bool { return strings.EqualFold(h, d.handle) }) {
			d.others++
			continue
		}
		d.page.Records.Accounts = append(d.page.Records.Accounts, account)
	}
}

// ledger reads one ledger. It has no balance of its own: each topic's entries carry theirs. The number that people
// know it by is that of the recipient.
func (d *ledgerDecoder) ledger() (a finance.Account, handles []string) {
	a.Kind = "ledger"
	_, a.Number, _ = strings.Cut(d.handle, ":")
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "ledgerId":
			a.ID = d.s.Word()
		case "currency":
			a.Currency = d.s.Text()
		case "payoutBankAccount", "owner":
			prefix := o.Key() + "."
			for in := d.s.Object(); in.Next(); {
				in.ExtraUnder(&d.extra, prefix)
			}
		case "settlesForRecipientHandles":
			for h := d.s.Array(); h.Next(); {
				handles = append(handles, d.s.Text())
			}
		case "salesUnits":
			a.Name = d.salesUnits()
		default:
			o.Extra(&d.extra)
		}
	}
	// As a text, since it is a set: its order means nothing and must not look like a change.
	slices.Sort(handles)
	d.extra.Add("settlesForRecipientHandles", strings.Join(handles, " "))
	return a, handles
}

// salesUnits is the name of the recipient's sales unit, or of the only one. Older ledgers list several.
func (d *ledgerDecoder) salesUnits() (name string) {
	for a := d.s.Array(); a.Next(); {
		unit := ""
		handle := ""
		for o := d.s.Object(); o.Next(); {
			switch o.Key() {
			case "name":
				unit = d.s.Text()
			case "recipientHandle":
				handle = d.s.Text()
			}
		}
		if name == "" || strings.EqualFold(handle, d.handle) {
			name = unit
		}
	}
	return name
}
