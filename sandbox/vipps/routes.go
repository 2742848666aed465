package vipps

import (
	"net/http"
	"slices"
	"strconv"
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

// control is steered from outside under /_sandbox/vipps/:
//
//	POST grant?merchant=N&granted=true|false
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /grant", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("merchant"))
		if err != nil || !s.Grant(n, r.URL.Query().Get("granted") != "false") {
			http.Error(w, "no such merchant", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

type ledgerJSON struct {
	LedgerID          string          `json:"ledgerId"`
	Currency          string          `json:"currency"`
	PayoutBankAccount schemed         `json:"payoutBankAccount"`
	Owner             schemed         `json:"owner"`
	Handles           []string        `json:"settlesForRecipientHandles"`
	SalesUnits        []salesUnitJSON `json:"salesUnits"`
}

type schemed struct {
	Scheme string `json:"scheme"`
	ID     string `json:"id"`
}

type salesUnitJSON struct {
	Name       string  `json:"name"`
	Handle     string  `json:"recipientHandle"`
	Identifier schemed `json:"businessIdentifier"`
}

func (s *Simulator) ledger(n int) ledgerJSON {
	m := s.world.merchant(n)
	owner := schemed{s.world.market.orgScheme, m.OwnerID}
	l := ledgerJSON{
		LedgerID: m.LedgerID, Currency: m.Currency, Owner: owner, Handles: m.Handles,
		PayoutBankAccount: schemed{s.world.market.bankScheme, s.world.bankAccount(n)},
	}
	for _, h := range m.Handles {
		l.SalesUnits = append(l.SalesUnits, salesUnitJSON{m.Name, h, owner})
	}
	return l
}

// serveLedgers lists the ledgers that the client may read. No access is an empty list.
func (s *Simulator) serveLedgers(w http.ResponseWriter, r *http.Request, c Client) {
	handle := r.URL.Query().Get("settlesForRecipientHandles")
	shift := 0
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		shift = 1
	}
	var all []int
	for n := range s.o.Merchants {
		if s.granted(c, n) && (handle == "" || slices.Contains(s.world.merchant(n).Handles, handle)) {
			all = append(all, (n+shift)%s.o.Merchants)
		}
	}
	from, ok := readCursor(r.URL.Query().Get("cursor"), "ledgers")
	if !ok || from > len(all) {
		s.notParsed(w, "cursor")
		return
	}
	upTo := min(len(all), from+s.o.LedgerPage)
	answer := map[string]any{"cursor": ""}
	items := make([]ledgerJSON, 0, upTo-from)
	for _, n := range all[from:upTo] {
		items = append(items, s.ledger(n))
	}
	if answer["items"] = items; upTo < len(all) {
		answer["cursor"] = cursorText("ledgers", upTo)
	} else if again, ok := s.again(r.URL.Query().Get("cursor"), "ledgers", from); ok {
		answer["cursor"] = again
	}
	writeJSON(w, http.StatusOK, "application/json", answer)
}
