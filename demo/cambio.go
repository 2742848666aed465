package demo

import (
	"fmt"

	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/cambio"
)

// cambioPart is the health records' night: short tokens, result pages that expire, and a pause that is told only in a
// sentence.
func cambioPart(kit *sandbox.Kit, scale int) Part {
	sim := cambio.New(cambio.Options{Kit: kit, Patients: 30 * scale, PageSize: 3, MaxInvoices: 12, InjectSID: true})
	client := cambio.DefaultClient()
	p := Part{
		Connection: "cambio-sandbox", Job: "nightly-invoices", Handler: sim.Handler(), AuthPath: "/auth/realms/COS",
		Files: map[string]string{"cambio-id": client.ID, "cambio-secret": client.Secret, "cambio-key": cambio.DefaultSubscription().Key},
		Settings: `
provider: cambio
environment: sandbox
credentials: { client_id: "file:cambio-id", client_secret: "file:cambio-secret", subscription_key: "file:cambio-key" }
settings: { grant: client_credentials }
rate: { per_second: 40 }`,
		JobSettings: `
datasets: [debt]
schedule: "10 3 * * *"
time_zone: Europe/Stockholm
batch_size: 8`,
		Faults: []sandbox.Rule{
			{ID: "429-cos", Provider: "cambio", Only: "api", After: 30, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2})},
			{ID: "token-ends-cos", Provider: "cambio", Only: "api", After: 45, Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}},
		},
	}
	for i := range sim.Len() {
		p.Consents = append(p.Consents, consents.Import{
			ExternalID: fmt.Sprintf("patient-%05d", i+1), NationalID: sim.Patient(i).Personnummer, KeepPlain: true, Purpose: "demo",
		})
	}
	return p
}
