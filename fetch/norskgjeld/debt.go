package norskgjeld

import (
	"errors"
	"fmt"
	"net/url"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/resume"
	"syncer/finance"
)

// version is that of the decoder of debt.
const version = "norskgjeld-debt-1"

// step asks for a person's debt, which is one page and always all of it, so the only position is the beginning.
func (c *connector) step(s fetch.Stream, from string) (fetch.Step, error) {
	consent := s.Task.Consent
	switch {
	case s.Dataset != finance.Debts:
		return fetch.Step{}, fmt.Errorf("norskgjeld has no %s", s.Dataset)
	case consent == nil, consent.ExternalID == "":
		return fetch.Step{}, errors.New("debt is read by consent, and this one has no id of the registry")
	case from != "":
		return fetch.Step{}, resume.Misfit("a cursor is set, but debt has none")
	}
	r := c.request(debtService, c.settings.DebtScope)
	r.Path = "v1/debt/" + url.PathEscape(consent.ExternalID)
	r.Template = "/v1/debt/{consent}"
	r.Purpose = calls.ForData
	r.Task = s.Task
	r.Once = consent.SingleUse
	return fetch.Step{Request: r, Version: version, Numbered: true, Decode: func(a *fetch.Answer) (fetch.Page, error) {
		return decodeDebt(a.Body, consent)
	}}, nil
}
