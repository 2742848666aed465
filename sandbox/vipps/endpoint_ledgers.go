package vipps

import (
	"net/http"
	"slices"

	"syncer/sandbox"
)

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
	offset := 0
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		offset = 1
	}
	var all []int
	for n := range s.o.Merchants {
		if s.granted(c, n) && (handle == "" || slices.Contains(s.world.merchant(n).Handles, handle)) {
			all = append(all, (n+offset)%s.o.Merchants)
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
