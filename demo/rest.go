package demo

import (
	"io/fs"

	described "syncer/fetch/rest"
	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/rest"
)

// fjordbankPart is the night of a bank that is described, not programmed: an account's list that answers 503, and a
// person who revokes.
func fjordbankPart(kit *sandbox.Kit, scale int) Part {
	sim := rest.NewBank(rest.BankOptions{Kit: kit, Consents: 15 * scale, History: 120})
	client := rest.BankClient()
	p := Part{
		Connection: "fjordbank-sandbox", Job: "nightly-fjordbank", Handler: sim.Handler(),
		Files: map[string]string{"fjord-id": client.ID, "fjord-secret": client.Secret, "fjordbank.yaml": description("fjordbank.yaml")},
		Settings: `
provider: rest
credentials: { client_id: "file:fjord-id", client_secret: "file:fjord-secret" }
settings: { description: fjordbank.yaml }
rate: { per_second: 40 }`,
		JobSettings: `
datasets: [accounts, transactions]
schedule: "20 4 * * *"
time_zone: Europe/Oslo
batch_size: 5
history: 120d`,
		Faults: []sandbox.Rule{
			{ID: "503-fjord", Provider: rest.Bank, Only: "api", After: 12, Every: 20, Times: 3, Action: answer(503, sandbox.RetryAfter{})},
			{ID: "429-fjord", Provider: rest.Bank, Only: "api", After: 30, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2})},
		},
		Meddle: func() string {
			sim.Revoke(sim.Consent(sim.Len() - 1).ID)
			return "another has revoked one at Fjordbank"
		},
	}
	for _, c := range sim.Consents() {
		p.Consents = append(p.Consents, consents.Import{ExternalID: c.ID, NationalID: c.NationalID, ValidUntil: c.ValidUntil, Purpose: "demo"})
	}
	return p
}

// nordvikPart is the night of a debt collector, described too: errors inside a 200, people it does not know, and
// creditors that have not reported.
func nordvikPart(kit *sandbox.Kit, scale int) Part {
	sim := rest.NewCollector(rest.CollectorOptions{Kit: kit, Consents: 30 * scale, Waiting: 0.1, Unknown: 0.1, Closed: 40})
	client := rest.CollectorClient()
	p := Part{
		Connection: "nordvik-sandbox", Job: "nightly-claims", Handler: sim.Handler(),
		Files: map[string]string{"nordvik-id": client.ID, "nordvik-secret": client.Secret, "nordvik-key": rest.CollectorKey(),
			"nordvik.yaml": description("nordvik.yaml")},
		Settings: `
provider: rest
credentials: { client_id: "file:nordvik-id", client_secret: "file:nordvik-secret", api_key: "file:nordvik-key" }
settings: { description: nordvik.yaml }
rate: { per_second: 40 }`,
		JobSettings: `
datasets: [debt]
schedule: "50 2 * * *"
time_zone: Europe/Oslo
batch_size: 10`,
	}
	for _, c := range sim.Consents() {
		p.Consents = append(p.Consents, consents.Import{ExternalID: c.ID, NationalID: c.NationalID, KeepPlain: true,
			ValidUntil: c.ValidUntil, Purpose: "demo"})
	}
	return p
}

// description is one of the described examples.
func description(name string) string {
	text, err := fs.ReadFile(described.Examples(), name)
	if err != nil {
		panic("demo: " + err.Error()) // can't be: it is part of the program
	}
	return string(text)
}
