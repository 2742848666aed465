package dbnordics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
)

// version is that of the decoder.
const version = "dbnordics-debt-1"

func (c *connector) step(ctx context.Context, s fetch.Stream, from string) (fetch.Step, error) {
	switch {
	case s.Dataset != finance.Debts:
		return fetch.Step{}, fmt.Errorf("dbnordics has no %s", s.Dataset)
	case from != "":
		return fetch.Step{}, resume.Misfit("a cursor is set, but debt has none")
	}
	about, err := companyOf(s.Task.Consent)
	if err != nil {
		return fetch.Step{}, &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Connection: c.name, Reason: err.Error()}
	}
	body, err := json.Marshal(question{
		RegistrationNumber: about.number, Language: c.settings.Language, Segments: []string{"RISK"},
		Reference: c.settings.Reference, OnBehalfOf: c.settings.OnBehalfOf,
	})
	if err != nil {
		return fetch.Step{}, errors.New("the request can't be written as JSON")
	}
	r := c.post("companies/"+about.country, body, calls.ForData)
	r.Task = s.Task
	r.Once = s.Task.Consent.SingleUse
	return fetch.Step{Request: r, Version: version, Numbered: true, Decode: func(a *fetch.Answer) (fetch.Page, error) {
		page, silent, err := decodeDebt(a.Body, about, a.Status == http.StatusMultiStatus)
		if err != nil {
			return page, err
		}
		return page, unsaid(ctx, &s, &page, silent)
	}}, nil
}

// section is one that is there and says nothing, not even that it is empty: what its records' ids begin with, and its words.
type section struct{ prefix, words string }

// unsaid finds out whether something is missing from sections that are there and say nothing. It is if records of theirs are
// known.
func unsaid(ctx context.Context, s *fetch.Stream, page *fetch.Page, silent []section) error {
	var ids []string
	for i := range page.Records.Debts {
		ids = append(ids, page.Records.Debts[i].ID)
	}
	for _, of := range silent {
		others, err := s.Others(ctx, finance.Extent{Prefix: of.prefix}, ids)
		if err != nil {
			return err
		}
		if others {
			unsaid := "the answer says nothing of " + of.words + ", and some are known"
			page.AddMissing(unsaid)
			page.Whole = nil
		}
	}
	return nil
}

// question is the body of a request. Of the segments only the debts' is asked for; who the company is comes with each.
type question struct {
	RegistrationNumber string   `json:"registrationNumber"`
	Language           string   `json:"language"`
	Segments           []string `json:"segments"`
	Reference          string   `json:"reference,omitempty"`
	OnBehalfOf         string   `json:"onBehalfOf,omitempty"`
}
