package sbanken

import (
	"context"
	"fmt"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/fetch/resume"
	"syncer/finance"
)

const accountsVersion = "sbanken-accounts-1"

func (c *connector) accounts(ctx context.Context, s fetch.Stream, from string) (fetch.Step, error) {
	if from != "" {
		return fetch.Step{}, resume.Misfit("a cursor is set, but accounts have none")
	}
	r := c.request(s.Task, calls.ForData)
	r.Path = "Accounts"
	r.Template = "/Accounts"
	var subject finance.Subject
	if s.Task.Consent != nil {
		subject = s.Task.Consent.Subject
	}
	version := fmt.Sprintf("%s shared=%t", accountsVersion, c.settings.IncludeShared)
	return fetch.Step{Request: r, Version: version, Decode: func(a *fetch.Answer) (fetch.Page, error) {
		page, err := decodeAccounts(a.Body, subject, c.settings.IncludeShared)
		if err != nil {
			return page, err
		}
		return page, unlisted(ctx, &s, &page)
	}}, nil
}

// unlisted finds out whether something is missing from a list of accounts that is null. It is not if none are known.
func unlisted(ctx context.Context, s *fetch.Stream, page *fetch.Page) error {
	told := page.Whole != nil || page.Partial != ""
	if told || len(page.Rejects) > 0 {
		return nil
	}
	others, err := s.Others(ctx, finance.Extent{}, nil)
	if others {
		page.Partial = "the answer has no list of accounts, and some are known"
	}
	return err
}

type accountDecoder struct {
	s       *jsonread.Scanner
	extra   jsonread.Extra
	subject finance.Subject
	shared  bool // keep the accounts of others
	page    fetch.Page
	own     int // accounts of the subject, or of an owner who is not told
	others  int
}

// decodeAccounts reads the list of accounts. An account that another person owns is not stored unless the settings
// say so; a list of which nothing belongs to the consent's subject is somebody else's list and refused as a whole.
func decodeAccounts(body []byte, subject finance.Subject, shared bool) (fetch.Page, error) {
	d := accountDecoder{s: jsonread.Scan(body), subject: subject, shared: shared}
	l, err := readList(d.s, d.list)
	if err != nil {
		return fetch.Page{}, err
	}
	if d.others > 0 && d.own == 0 {
		return fetch.Page{}, fetch.WrongSubject("none of the accounts belongs to the customer of the consent")
	}
	d.page.Vet()
	d.page.Done = true
	d.page.Seen = l.items
	if l.available > int64(l.items) {
		d.page.Partial = fmt.Sprintf("%d of %d accounts are missing from the answer", l.available-int64(l.items), l.available)
	}
	complete := d.page.Partial == "" && !d.page.Hidden()
	if complete && !l.null {
		d.page.Whole = &finance.Whole{}
	}
	return d.page, nil
}

func (d *accountDecoder) list() (items int) {
	for a := d.s.Array(); a.Next(); items++ {
		account, figures, owner := d.account()
		if finance.IsBlank(account.ID) {
			d.s.Fail("an account without an id")
		}
		if why := a.Broken(); why != "" {
			d.extra.Reset()
			d.page.Rejects = append(d.page.Rejects, a.Reject(why, account.ID))
			continue
		}
		account.Extra = d.extra.JSON()
		if owner != "" && !d.subject.Is(owner) {
			d.others++
			if !d.shared {
				continue
			}
		} else {
			d.own++
		}
		account.Place = a.Place()
		d.page.Records.Accounts = append(d.page.Records.Accounts, account)
		for i, kind := range balanceKinds {
			if figures[i].Valid {
				d.page.Records.Balances = append(d.page.Records.Balances, finance.Balance{
					Lineage: account.Lineage, AccountID: account.ID, Kind: kind, Amount: figures[i], Currency: "NOK",
				})
			}
		}
	}
	return items
}

var balanceKinds = [3]string{finance.BalanceBooked, finance.BalanceAvailable, finance.BalanceCreditLimit}

// account reads one account. The bank states no currency: all its accounts are in kroner. The owner's national
// identity number is for comparing only.
func (d *accountDecoder) account() (a finance.Account, figures [3]finance.Amount, owner string) {
	a.Currency = "NOK"
	for o := d.s.Object(); o.Next(); {
		switch o.Key() {
		case "accountId":
			a.ID = d.s.Text()
		case "accountNumber":
			a.Number = d.s.Word()
		case "name":
			a.Name = d.s.Text()
		case "accountType":
			a.Kind = d.s.Text()
		case "ownerCustomerId":
			owner = d.s.Word()
		case "customerId": // another name of the owner's number in some versions
			d.s.Raw()
		case "balance":
			figures[0] = d.s.Amount()
		case "available":
			figures[1] = d.s.Amount()
		case "creditLimit":
			figures[2] = d.s.Amount()
		default:
			o.Extra(&d.extra)
		}
	}
	return a, figures, owner
}
