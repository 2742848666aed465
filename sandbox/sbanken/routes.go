package sbanken

import (
	"net/http"
	"strings"

	"syncer/sandbox"
)

// route is a request as the bank reads its path: in any case, with or without
// a slash at the end.
type route struct {
	token   bool
	v1      bool
	known   bool   // below one of the API's bases
	what    string // accounts, transactions, archive, customers
	account string // empty: none named
}

func parse(path string) route {
	path = strings.TrimSuffix(strings.ToLower(path), "/")
	if path == TokenPath {
		return route{token: true}
	}
	rest, v2 := strings.CutPrefix(path, V2+"/")
	v1 := false
	if !v2 {
		if rest, v1 = strings.CutPrefix(path, V1+"/"); !v1 {
			return route{}
		}
	}
	parts := strings.Split(rest, "/")
	out := route{v1: v1, known: true, what: parts[0]}
	if len(parts) > 1 && parts[0] == "transactions" && parts[1] == "archive" {
		out.what = "archive"
		parts = parts[1:]
	}
	if len(parts) > 1 {
		out.account = parts[1]
	}
	if len(parts) > 2 {
		out.what = ""
	}
	return out
}

func (rt route) template() string {
	version := V2
	if rt.v1 {
		version = V1
	}
	name := map[string]string{"accounts": "/Accounts", "transactions": "/Transactions",
		"archive": "/Transactions/archive", "customers": "/Customers"}[rt.what]
	switch {
	case rt.token:
		return TokenPath
	case name == "":
		return "*"
	case rt.account != "":
		name += "/{accountId}"
	}
	return version + name
}

// describe recognises a request for the journal and for fault rules. The
// subject is the customer. Token calls have a bucket of their own: they go to
// another host.
func (s *Simulator) describe(r *http.Request) sandbox.Call {
	rt := parse(r.URL.Path)
	client := s.tokens.ClientOf(r)
	if rt.token {
		return sandbox.Call{Bucket: client + "/token", Template: TokenPath, Token: true}
	}
	customer, _ := s.customerOf(r, s.clients[client])
	return sandbox.Call{Bucket: client, Template: rt.template(), Subject: customer}
}

// customerOf is the national id a call asks for: the client's only customer,
// or the one named in the header.
func (s *Simulator) customerOf(r *http.Request, c Client) (id string, named bool) {
	if !c.All && len(c.Customers) == 1 {
		return c.Customers[0], true
	}
	id = r.Header.Get("customerId")
	return id, id != ""
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	rt := parse(r.URL.Path)
	if rt.token {
		s.tokens.ServeHTTP(w, r)
		return
	}
	grant, _, live := s.tokens.Bearer(r)
	if !live || s.o.GrantOff {
		unauthorized(w)
		return
	}
	if r.Method != http.MethodGet {
		s.fail(w, rt.v1, http.StatusMethodNotAllowed, "The API is read here only.")
		return
	}
	customer, ok := s.authorize(w, r, rt, s.clients[grant.ClientID])
	if !ok {
		return
	}
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		customer = (customer + 1) % s.o.Customers
	}
	switch {
	case rt.what == "accounts":
		s.serveAccounts(w, rt, customer)
	case rt.what == "customers" && rt.account == "":
		s.serveCustomer(w, rt, customer)
	case (rt.what == "transactions" || rt.what == "archive") && rt.account != "":
		s.serveTransactions(w, r, rt, customer)
	default:
		s.fail(w, rt.v1, http.StatusNotFound, "No such resource.")
	}
}

// authorize finds the customer that is asked for.
func (s *Simulator) authorize(w http.ResponseWriter, r *http.Request, rt route, c Client) (int, bool) {
	id, named := s.customerOf(r, c)
	if !named {
		s.missingCustomer(w, rt)
		return 0, false
	}
	n, ok := s.world.find(id)
	allowed := c.All
	for _, own := range c.Customers {
		allowed = allowed || own == id
	}
	if !ok || !allowed {
		s.fail(w, rt.v1, http.StatusNotFound, "Customer not found.")
		return 0, false
	}
	return n, true
}

// missingCustomer is the body recorded in 2018, its errorType a number.
func (s *Simulator) missingCustomer(w http.ResponseWriter, rt route) {
	const message = "Required parameter 'customerId' not found."
	if !rt.v1 {
		s.fail(w, false, http.StatusBadRequest, message)
		return
	}
	writeJSON(w, http.StatusBadRequest, "application/json",
		envelope{ErrorType: 1, IsError: true, ErrorMessage: message, TraceID: s.trace()})
}
