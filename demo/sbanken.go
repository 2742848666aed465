package demo

import (
	"fmt"

	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// sbankenPart is the bank's night: a malformed record, a pause told in an old form of date, 503s, a token that ends.
func sbankenPart(kit *sandbox.Kit, scale int) Part {
	sim := sbanken.New(sbanken.Options{
		Kit: kit, Customers: 40 * scale, Transactions: 120, Twins: true, LateBooked: true,
		Quota: &sandbox.Quota{Rate: 120, Burst: 20},
	})
	client := sbanken.DefaultClient()
	account := sim.Customer(0).Accounts[0].AccountID
	p := Part{
		Connection: "sbanken-sandbox", Job: "nightly-accounts", Handler: sim.Handler(),
		Files: map[string]string{"bank-id": client.ID, "bank-secret": client.Secret},
		Settings: `
provider: sbanken
environment: prod
credentials: { client_id: "file:bank-id", client_secret: "file:bank-secret" }
rate: { per_second: 60 }`,
		JobSettings: `
datasets: [accounts, transactions]
schedule: "0 4 * * *"
time_zone: Europe/Oslo
batch_size: 5
lookback: 10d
history: 365d`,
		Faults: []sandbox.Rule{
			{ID: "malformed", Provider: "sbanken", PathPrefix: sbanken.V2 + "/Transactions/archive/" + account, Action: sandbox.Action{
				Kind: sandbox.Replace, Old: `"accountingDate":"20`, New: `"accountingDate":"2O`}},
			{ID: "429-bank", Provider: "sbanken", Only: "api", After: 90, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2, Form: "rfc850"})},
			{ID: "503", Provider: "sbanken", Only: "api", After: 20, Every: 60, Times: 4, Action: answer(503, sandbox.RetryAfter{})},
			{ID: "token-ends-bank", Provider: "sbanken", Only: "api", After: 120, Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}},
		},
	}
	for i, c := range sim.Customers() {
		p.Consents = append(p.Consents, consents.Import{
			ExternalID: fmt.Sprintf("agreement-%05d", i+1), NationalID: c.CustomerID, KeepPlain: true, Purpose: "demo",
		})
	}
	return p
}
