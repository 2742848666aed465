package vipps

import (
	"net/http"
	"strings"

	"syncer/sandbox"
)

// route is a request for a report.
type route struct {
	ledger, topic string
	feed          bool
	date          string
}

// parseReport reads what follows ReportPath.
func parseReport(path string) (rt route, ok bool) {
	rest, ok := strings.CutPrefix(path, ReportPath)
	parts := strings.Split(rest, "/")
	switch {
	case ok && len(parts) == 3 && parts[2] == "feed":
		return route{ledger: parts[0], topic: parts[1], feed: true}, true
	case ok && len(parts) == 4 && parts[2] == "dates":
		return route{ledger: parts[0], topic: parts[1], date: parts[3]}, true
	}
	return route{}, false
}

func isToken(path string) bool {
	p := lower(path)
	return p == StandardTokenPath || p == SpecializedTokenPath
}

// describe recognises a request for the journal and for fault rules. The subject is the ledger, or the recipient that
// the list is asked for.
func (s *Simulator) describe(r *http.Request) sandbox.Call {
	call := sandbox.Call{Bucket: s.clientOf(r).ID, Template: "*"}
	if isToken(r.URL.Path) {
		call.Bucket, call.Template, call.Token = "token", lower(r.URL.Path), true
		return call
	}
	if r.URL.Path == LedgersPath {
		call.Template, call.Subject = LedgersPath, r.URL.Query().Get("settlesForRecipientHandles")
	}
	if rt, ok := parseReport(r.URL.Path); ok {
		call.Subject = rt.ledger
		call.Template = ReportPath + "{ledgerId}/" + rt.topic + "/dates/{ledgerDate}"
		if rt.feed {
			call.Template = ReportPath + "{ledgerId}/" + rt.topic + "/feed"
		}
	}
	return call
}

// clientOf is the holder of the request's token; the zero Client if there is none.
func (s *Simulator) clientOf(r *http.Request) Client {
	for _, tokens := range []*sandbox.OAuth2{s.standard, s.specialized} {
		if grant, known, _ := tokens.Bearer(r); known {
			for _, c := range s.o.Clients {
				if c.ID == grant.ClientID {
					return c
				}
			}
		}
	}
	return Client{}
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Request-Id", s.trace()) // an Azure habit; the vendor documents no header
	path := r.URL.Path
	switch rt, report := parseReport(path); {
	case lower(path) == StandardTokenPath:
		s.serveStandardToken(w, r)
	case lower(path) == SpecializedTokenPath:
		s.serveSpecializedToken(w, r)
	case strings.HasPrefix(path, "/report/v1/"):
		s.fail(w, http.StatusGone, "Gone", "This version of the API has been removed. Use report/v2.")
	case path != LedgersPath && !report:
		gatewayError(w, http.StatusNotFound, "Resource not found")
	default:
		c, ok := s.authorize(w, r)
		switch {
		case !ok:
		case r.Method != http.MethodGet:
			s.fail(w, http.StatusMethodNotAllowed, "Method Not Allowed", "Reports are read with GET.")
		case report:
			s.serveReport(w, r, c, rt)
		default:
			s.serveLedgers(w, r, c)
		}
	}
}

// authorize checks the token, and on the standard flow the subscription key.
func (s *Simulator) authorize(w http.ResponseWriter, r *http.Request) (Client, bool) {
	c := s.clientOf(r)
	if c.SubscriptionKey != "" && !s.gateway(w, r, c.ID) {
		return c, false
	}
	_, _, standard := s.standard.Bearer(r)
	_, _, specialized := s.specialized.Bearer(r)
	if !standard && !specialized {
		gatewayError(w, http.StatusUnauthorized, "Something went wrong, please try again later.")
		return c, false
	}
	return c, true
}
