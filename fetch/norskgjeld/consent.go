package norskgjeld

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"syncer/fetch"
	"syncer/finance"
)

// Status asks what the registry says of a consent.
func (c *connector) Status(ctx context.Context, scope finance.Scope) (fetch.ConsentState, error) {
	if scope.Consent == nil || scope.Consent.ExternalID == "" {
		return fetch.ConsentState{}, &fetch.Error{Class: finance.Rejected, Op: "GET /v1/debt/{consent}/status", Reason: "no consent with an id of the registry's was given"}
	}
	return c.status(ctx, scope.Consent.ExternalID, scope)
}

func (c *connector) status(ctx context.Context, id string, scope finance.Scope) (fetch.ConsentState, error) {
	a, err := c.client.Do(ctx, c.statusRequest(id, finance.ForStatus, scope))
	if e, ok := errors.AsType[*fetch.Error](err); ok && e.Class == finance.ConsentOver {
		return fetch.ConsentState{Status: e.Consent}, nil
	}
	if err != nil {
		return fetch.ConsentState{}, err
	}
	state, err := decodeStatus(a.Body, c.now())
	if err != nil {
		return fetch.ConsentState{}, malformed("GET /v1/debt/{consent}/status", a, err)
	}
	return state, nil
}

// Probe asks for the status of a consent that can't exist, which costs nobody anything and needs a token for debt.
func (c *connector) Probe(ctx context.Context) error {
	_, err := c.client.Do(ctx, c.statusRequest("00000000-0000-0000-0000-000000000000", finance.ForCheck, finance.Scope{}))
	return err
}

func (c *connector) statusRequest(id string, purpose finance.Purpose, scope finance.Scope) fetch.Request {
	r := c.request(debtService, c.settings.DebtScope)
	r.Path = "v1/debt/" + url.PathEscape(id) + "/status"
	r.Template, r.Purpose, r.Scope = "/v1/debt/{consent}/status", purpose, scope
	return r
}

// malformed is the error of an answer that says OK but can't be read.
func malformed(op string, a *fetch.Answer, err error) error {
	return &fetch.Error{Class: finance.Malformed, Op: op, Connection: a.Call.Connection, Correlation: a.Call.Correlation, Call: a.Call.ID, Err: err}
}

// decodeStatus reads {"active":true,"expires_at":1798757999}, and the older form with both as texts.
func decodeStatus(body []byte, now time.Time) (fetch.ConsentState, error) {
	s := fetch.Scan(body)
	active, until := "", time.Time{}
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "active":
			active = flag(s)
		case "expires_at":
			until = instant(s)
		}
	}
	if err := s.End(); err != nil {
		return fetch.ConsentState{}, err
	}
	switch {
	case active == "true":
		return fetch.ConsentState{Status: finance.ConsentActive, ValidUntil: until}, nil
	case active != "false":
		return fetch.ConsentState{}, errors.New("the answer does not say whether the consent is active")
	case !until.IsZero() && !until.After(now):
		return fetch.ConsentState{Status: finance.ConsentExpired, ValidUntil: until}, nil
	default:
		return fetch.ConsentState{Status: finance.ConsentRevoked, ValidUntil: until}, nil
	}
}

func flag(s *fetch.Scanner) string {
	if s.Peek() == '"' {
		return s.Text()
	}
	return s.Raw()
}

// instant reads when a consent ends: epoch seconds, a text in RFC 3339 form, or a day, which means its end in Norway.
func instant(s *fetch.Scanner) time.Time {
	if s.Peek() == '"' {
		text := s.Text()
		if day, err := finance.ParseDate(text); err == nil && len(text) == len(time.DateOnly) {
			return endOf(s, day)
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil && text != "" {
			s.Fail("not an instant in RFC 3339 form")
			return time.Time{}
		}
		return at.UTC()
	}
	n, ok := s.Int()
	if !ok {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// endOf is when a day ends in Norway.
func endOf(s *fetch.Scanner, day finance.Date) time.Time {
	zone, err := fetch.LoadZone(calendar)
	if err != nil {
		s.Fail("a day, and the time zones of the machine lack " + calendar)
		return time.Time{}
	}
	return day.AddDays(1).StartIn(zone).UTC()
}

const registerOp = "PUT /v1/consent/agreement"

// Register records a consent that we have collected ourselves. Sending the same registration again gives the same
// consent, so it may be repeated; another registration with the same reference is refused with a 409.
func (c *connector) Register(ctx context.Context, r fetch.Registration) (fetch.Registered, error) {
	body, err := json.Marshal(struct {
		NationalID string `json:"nin"`
		Scope      string `json:"scope_of_consent"`
		Days       int    `json:"consent_duration_days"`
		ClientRef  string `json:"client_consent_id"`
	}{r.NationalID.Reveal(), r.Scope, r.Days, r.ClientRef})
	if err != nil {
		return fetch.Registered{}, &fetch.Error{Class: finance.Rejected, Op: registerOp, Reason: "the registration can't be written as JSON"}
	}
	q := c.request(agreementService, "consent.create")
	q.Method, q.Path, q.Template, q.Purpose = http.MethodPut, "v1/consent/agreement", "/v1/consent/agreement", finance.ForStatus
	q.Header, q.Body = http.Header{"Content-Type": {"application/json"}}, body
	a, err := c.client.Do(ctx, q)
	if err != nil {
		return fetch.Registered{}, err
	}
	out, err := decodeRegistered(a.Body, r.ClientRef)
	if err != nil {
		return fetch.Registered{}, malformed(registerOp, a, err)
	}
	return out, nil
}

func decodeRegistered(body []byte, ref string) (out fetch.Registered, err error) {
	s := fetch.Scan(body)
	echoed := ""
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "client_consent_id":
			echoed = s.Text()
		case "consent":
			for p := s.Object(); p.Next(); {
				switch p.Key() {
				case "id":
					out.ConsentID = s.Text()
				case "expires_at":
					out.ValidUntil = instant(s)
				case "scope_of_consent":
					out.Scope = s.Text()
				}
			}
		}
	}
	switch {
	case s.End() != nil:
		err = s.Err()
	case out.ConsentID == "":
		err = errors.New("the answer names no consent")
	case echoed != "" && echoed != ref:
		err = errors.New("the answer is about another registration")
	}
	return out, err
}
