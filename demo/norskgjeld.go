package demo

import (
	"syncer/persist/consents"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// norskgjeldPart is the debt registry's night: a consent whose every call fails, pauses in seconds and as a date, slow
// bodies, a token that ends too early, creditors that don't answer, and a person who revokes.
func norskgjeldPart(kit *sandbox.Kit, scale int) Part {
	const broken, leaver = 7, 60 // the index of the consent that always fails; of the leaver, in hundredths of the world
	sim := norskgjeld.New(norskgjeld.Options{Kit: kit, Consents: 200 * scale, SingleUse: 0.1, DebtFree: 0.15, Missing: 0.04})
	client := norskgjeld.DefaultClient()
	p := Part{
		Connection: "norskgjeld-sandbox", Job: "nightly-debt", Handler: sim.Handler(),
		Files: map[string]string{"ng-id": client.ID, "ng-secret": client.Secret},
		Settings: `
provider: norskgjeld
environment: preprod
credentials: { client_id: "file:ng-id", client_secret: "file:ng-secret" }
rate: { per_second: 40 }`,
		JobSettings: `
datasets: [debt]
schedule: "30 2 * * *"
time_zone: Europe/Oslo
batch_size: 25`,
		Faults: []sandbox.Rule{
			{ID: "always-fails", Provider: "norskgjeld", Subject: sim.Consent(broken).ID, Action: answer(500, sandbox.RetryAfter{})},
			{ID: "429-seconds", Provider: "norskgjeld", Only: "api", After: 40, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 2})},
			{ID: "429-date", Provider: "norskgjeld", Only: "api", After: 60, Times: 1, Action: answer(429, sandbox.RetryAfter{Seconds: 3, Form: "imf"})},
			{ID: "slow-body", Provider: "norskgjeld", Only: "api", After: 25, Every: 50, Times: 3, Action: sandbox.Action{
				Kind: sandbox.Drip, Chunk: 40, DelayMS: 60}},
			{ID: "token-ends", Provider: "norskgjeld", Only: "api", After: 90, Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}},
		},
		Meddle: func() string {
			sim.Revoke(sim.Consent(sim.Len() * leaver / 100).ID)
			return "one person has revoked a consent at Norsk Gjeldsinformasjon"
		},
	}
	for _, c := range sim.Consents() {
		p.Consents = append(p.Consents, consents.Import{
			ExternalID: c.ID, NationalID: c.NationalID, Scopes: []string{c.Scope}, ValidFrom: c.GivenAt, ValidUntil: c.ValidUntil,
			SingleUse: c.SingleUse, Purpose: "demo",
		})
	}
	return p
}
