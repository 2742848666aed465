package cambio

import (
	"net/url"
	"slices"
	"strings"

	"syncer/sandbox"
)

// consent is a patient's yes. The token stands for that patient alone.
func (s *Simulator) consent(q sandbox.Question) (sandbox.Consented, *sandbox.Refusal) {
	i, known := s.world.byNumber(q.Person.NationalID)
	if q.Person.NationalID == "" {
		i = 0
		known = true
	}
	switch {
	case !known:
		return sandbox.Consented{}, &sandbox.Refusal{Code: "access_denied", Description: "no such patient"}
	case unknownScope(q.Client, q.Scope) != "":
		return sandbox.Consented{}, &sandbox.Refusal{Code: "invalid_scope", Description: "Invalid scopes: " + q.Scope}
	}
	number := personnummer(s.o.Seed, i)
	c := sandbox.Consented{
		Grant: sandbox.Grant{Scope: q.Scope, Subject: number, Extra: map[string]any{"session_state": s.session(i), "not-before-policy": 0}},
	}
	if slices.Contains(strings.Fields(q.Scope), "openid") {
		c.Claims = map[string]any{"sub": sandbox.UUIDs{Seed: s.world.hash('U')}.At(i), "sid": s.session(i)}
		if s.o.NumberClaim != "" {
			c.Claims[s.o.NumberClaim] = number
		}
	}
	c.Params = url.Values{"session_state": {s.session(i)}}
	return c, nil
}

func (s *Simulator) session(i int) string { return sandbox.UUIDs{Seed: s.world.hash('S')}.At(i) }
