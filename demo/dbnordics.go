package demo

import (
	"fmt"

	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/dbnordics"
)

// dbnordicsPart is the credit register's night: companies that are unknown or may not be told of, lists that are longer
// than what is shown, sole traders whose number is a person's, and an error that passes.
func dbnordicsPart(kit *sandbox.Kit, scale int) Part {
	sim := dbnordics.New(dbnordics.Options{
		Kit: kit, Companies: 40 * scale, SoleTraders: 0.2, Clean: 0.3, Capped: 0.08, Unknown: 0.05, Withheld: 0.03,
	})
	client := dbnordics.DefaultClient()
	p := Part{
		Connection: "dbnordics-sandbox", Job: "nightly-companies", Handler: sim.Handler(),
		Files: map[string]string{"db-id": client.ID, "db-secret": client.Secret},
		Settings: `
provider: dbnordics
environment: sandbox
credentials: { client_id: "file:db-id", client_secret: "file:db-secret" }
rate: { per_second: 20 }`,
		JobSettings: `
datasets: [debt]
schedule: "45 1 * * 1-5"
time_zone: Europe/Stockholm
batch_size: 10`,
		Faults: []sandbox.Rule{
			{ID: "502-db", Provider: "dbnordics", Only: "api", After: 10, Times: 2, Action: answer(502, sandbox.RetryAfter{})},
			{ID: "429-db", Provider: "dbnordics", Only: "api", After: 20, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2, Form: "asctime"})},
		},
	}
	for _, c := range sim.Companies() {
		consent := consents.Import{ExternalID: c.Country + "-" + c.RegistrationNumber, Purpose: "demo"}
		if c.SoleTrader {
			consent.ExternalID = fmt.Sprintf("SE-subject-customer-%d", c.Index)
			consent.NationalID = c.RegistrationNumber
			consent.KeepPlain = true
		}
		p.Consents = append(p.Consents, consent)
	}
	return p
}
