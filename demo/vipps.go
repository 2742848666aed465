package demo

import (
	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/vipps"
)

// vippsPart is the settlement reports' night: a row that is missing on the way, so that the balances don't add up, a
// locked ledger, and a pause.
func vippsPart(kit *sandbox.Kit, scale int) Part {
	sim := vipps.New(vipps.Options{Kit: kit, Merchants: 10 * scale, Days: 45, PageSize: 100, Drift: true, Twins: true})
	client := vipps.DefaultPartner()
	p := Part{
		Connection: "vipps-sandbox", Job: "nightly-settlements", Handler: sim.Handler(),
		Files: map[string]string{"vipps-id": client.ID, "vipps-secret": client.Secret},
		Settings: `
provider: vipps
environment: test
credentials: { client_id: "file:vipps-id", client_secret: "file:vipps-secret" }
settings: { token_flow: specialized, read_by: feed }
rate: { per_second: 40 }`,
		JobSettings: `
datasets: [accounts, transactions]
schedule: "17 5 * * *"
time_zone: Europe/Oslo
batch_size: 4
history: 45d`,
		Faults: []sandbox.Rule{
			{ID: "423-vipps", Provider: "vipps", Only: "api", After: 8, Times: 2, Action: answer(423, sandbox.RetryAfter{})},
			{ID: "429-vipps", Provider: "vipps", Only: "api", After: 25, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2})},
			{ID: "balance-break", Provider: "vipps", PathPrefix: vipps.ReportPath + sim.Merchant(0).LedgerID + "/funds", Times: 1,
				Action: sandbox.Action{Kind: sandbox.Replace, Old: `"balanceAfter":`, New: `"balanceAfter":1`}},
		},
	}
	for _, m := range sim.Merchants() {
		p.Consents = append(p.Consents, consents.Import{ExternalID: m.Handle, NationalID: m.OwnerID, Purpose: "demo"})
	}
	return p
}
