package fetch

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/finance"
)

// wellKnown is where an issuer's metadata lie (OpenID Connect Discovery 1.0 section 4).
const wellKnown = "/.well-known/openid-configuration"

// metadata is what is read of an authorization server's own description (RFC 8414 section 2).
type metadata struct {
	Issuer    string   `json:"issuer"`
	Authorize string   `json:"authorization_endpoint"`
	Token     string   `json:"token_endpoint"`
	PKCE      []string `json:"code_challenge_methods_supported"`
	SendsIss  bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

// endpoints are the authorization server's addresses, as the driver says or as the issuer's metadata do. They are asked
// for once in a process, and only if the driver leaves one open.
func (c *Client) endpoints(ctx context.Context, of *opened) (metadata, TokenRequest, *Error) {
	a := of.authorize
	ask := a.Token
	m := metadata{Issuer: a.Issuer, Authorize: a.URL, Token: ask.URL}
	if a.URL == "" || ask.URL == "" {
		found, failed := c.discover(ctx, of, a.Issuer)
		if failed != nil {
			return m, ask, failed
		}
		m = *found // but the driver's own word wins
		if a.URL != "" {
			m.Authorize = a.URL
		}
		if ask.URL != "" {
			m.Token = ask.URL
		}
	}
	ask.URL = m.Token
	for _, endpoint := range []string{m.Authorize, m.Token} {
		if u, err := url.Parse(endpoint); err != nil || !c.mayCall(u) {
			return m, ask, c.tokens.fail(finance.Fatal, "the authorization and the token endpoint must be https addresses without a user")
		}
	}
	return m, ask, nil
}

// discover gives the issuer's metadata. Callers who need them at once, as a process does that begins with many consents,
// share one call, which outlives whoever began it.
func (c *Client) discover(ctx context.Context, of *opened, issuer string) (*metadata, *Error) {
	if m := c.known(); m != nil {
		return m, nil
	}
	flight := c.discovering.DoChan("", func() (any, error) {
		if m := c.known(); m != nil { // a flight that ended between our look and this one
			return discovery{m, nil}, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.refreshLimit())
		defer cancel()
		m, failed := c.readMetadata(ctx, of, issuer)
		return discovery{m, failed}, nil
	})
	select {
	case <-ctx.Done():
		e := c.tokens.fail(finance.Interrupted, "the caller has left while the authorization server was asked for its endpoints")
		e.Err = ctx.Err()
		return nil, e
	case r := <-flight:
		d := r.Val.(discovery)
		return d.found, d.failed
	}
}

type discovery struct {
	found  *metadata
	failed *Error
}

func (c *Client) known() *metadata {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.discovered
}

// readMetadata reads the issuer's metadata. What they say is believed only if they are the issuer's own: otherwise whoever
// can answer at that address would choose where our secret goes.
func (c *Client) readMetadata(ctx context.Context, of *opened, issuer string) (*metadata, *Error) {
	address := strings.TrimSuffix(issuer, "/") + wellKnown
	u, err := url.Parse(address)
	if err != nil || !c.mayCall(u) || u.RawQuery != "" {
		return nil, c.tokens.fail(finance.Fatal, "the issuer must be an https address without user, query and fragment")
	}
	r := c.authRequest(of, calls.Task{}, http.MethodGet, u)
	r.path = wellKnown
	r.classify = classifyDiscovery
	r.build = func(ctx context.Context, id finance.CallID) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err == nil {
			req.Header.Set("Accept", "application/json")
			req.Header.Set("X-Request-Id", id.String())
		}
		return req, err
	}
	answer, failed := r.run(ctx)
	answer.release()
	if failed != nil {
		return nil, failed
	}
	var m metadata
	err = json.Unmarshal(answer.Body, &m)
	switch {
	case err != nil:
		failed = r.fail(finance.Fatal, "the metadata can't be read")
	case m.Issuer != issuer:
		failed = r.fail(finance.Fatal, "the metadata are another issuer's: is the issuer configured character by character, slash included?")
	case len(m.PKCE) > 0 && !slices.Contains(m.PKCE, "S256"):
		failed = r.fail(finance.Fatal, "the authorization server does not know PKCE with S256")
	}
	if failed != nil {
		failed.Call = answer.Call.ID
		failed.Correlation = answer.Call.Correlation
		return nil, failed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discovered = &m
	return &m, nil
}

func classifyDiscovery(a *Answer) Meaning {
	v := Meaning{Class: ByStatus(a)}
	switch v.Class {
	case finance.Rejected, finance.TokenDenied:
		v.Class = finance.Fatal
	case finance.OK:
		if a.Status != http.StatusOK {
			v.Class = finance.Fatal
		}
	}
	return v
}
