package norskgjeld

import (
	"context"
	"errors"
	"net/url"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// Status asks what the registry says of a consent.
func (c *connector) Status(ctx context.Context, task calls.Task) (fetch.ConsentState, error) {
	if task.Consent == nil || task.Consent.ExternalID == "" {
		return fetch.ConsentState{}, &fetch.Error{Class: finance.Rejected, Op: "GET /v1/debt/{consent}/status", Reason: "no consent with an id of the registry's was given"}
	}
	return c.status(ctx, task.Consent.ExternalID, task)
}

func (c *connector) status(ctx context.Context, id string, task calls.Task) (fetch.ConsentState, error) {
	a, err := c.client.Do(ctx, c.statusRequest(id, calls.ForStatus, task))
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

func (c *connector) statusRequest(id string, purpose calls.Purpose, task calls.Task) fetch.Request {
	r := c.request(debtService, c.settings.DebtScope)
	r.Path = "v1/debt/" + url.PathEscape(id) + "/status"
	r.Template = "/v1/debt/{consent}/status"
	r.Purpose = purpose
	r.Task = task
	return r
}

// decodeStatus reads {"active":true,"expires_at":1798757999}, and the older form with both as texts.
func decodeStatus(body []byte, now time.Time) (fetch.ConsentState, error) {
	s := jsonread.Scan(body)
	active := ""
	until := time.Time{}
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

func flag(s *jsonread.Scanner) string {
	if s.Peek() == '"' {
		return s.Text()
	}
	return s.Raw()
}

// instant reads when a consent ends: epoch seconds, a text in RFC 3339 form, or a day, which means its end in Norway.
func instant(s *jsonread.Scanner) time.Time {
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
func endOf(s *jsonread.Scanner, day finance.Date) time.Time {
	zone, err := fetch.LoadZone(calendar)
	if err != nil {
		s.Fail("a day, and this machine has no time zone " + calendar)
		return time.Time{}
	}
	return day.AddDays(1).StartIn(zone).UTC()
}
