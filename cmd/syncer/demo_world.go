package main

import (
	"fmt"
	"os"
	"path/filepath"

	"syncer/persist"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// demoWorld is the sandbox of the demo: one simulator for each provider on a loopback address, with faults on.
type demoWorld struct {
	kit    *sandbox.Kit
	server *sandbox.Server
	ng     *norskgjeld.Simulator
	bank   *sbanken.Simulator
	urls   map[string]string
}

// The connections and jobs of the demo's configuration.
const (
	demoNG     = "norskgjeld-sandbox"
	demoBank   = "sbanken-sandbox"
	demoDebt   = "nightly-debt"
	demoMoney  = "nightly-accounts"
	demoBroken = 7  // the index of the consent whose every call fails
	demoLeaver = 60 // the index of the consent that is revoked mid-run, in hundredths of the world
)

// newDemoWorld starts the sandbox. Scale 1 is a world that a laptop pulls in well below a minute.
func newDemoWorld(seed uint64, scale int) (*demoWorld, error) {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: seed})
	server, err := sandbox.Start(kit)
	if err != nil {
		return nil, err
	}
	w := &demoWorld{kit: kit, server: server, urls: map[string]string{}}
	w.ng = norskgjeld.New(norskgjeld.Options{
		Kit: kit, Consents: 200 * scale, SingleUse: 0.1, DebtFree: 0.15, Missing: 0.04,
	})
	w.bank = sbanken.New(sbanken.Options{
		Kit: kit, Customers: 40 * scale, Transactions: 120, Twins: true, LateBooked: true,
		Quota: &sandbox.Quota{Rate: 120, Burst: 20},
	})
	mounts := []struct {
		name string
		url  func() (string, error)
	}{
		{demoNG, func() (string, error) { return server.Mount(demoNG, w.ng.Handler()) }},
		{demoBank, func() (string, error) { return server.Mount(demoBank, w.bank.Handler()) }},
	}
	for _, m := range mounts {
		if w.urls[m.name], err = m.url(); err != nil {
			_ = server.Close()
			return nil, err
		}
	}
	return w, nil
}

// misbehave switches the night's faults on.
func (w *demoWorld) misbehave() error {
	broken := w.ng.Consent(demoBroken).ID
	account := w.bank.Customer(0).Accounts[0].AccountID
	status := func(code int, after sandbox.RetryAfter) sandbox.Action {
		return sandbox.Action{Kind: sandbox.AnswerStatus, Status: code, RetryAfter: after}
	}
	for _, rule := range []sandbox.Rule{
		{ID: "always-fails", Provider: "norskgjeld", Subject: broken, Action: status(500, sandbox.RetryAfter{})},
		{ID: "malformed", Provider: "sbanken", PathPrefix: sbanken.V2 + "/Transactions/archive/" + account, Action: sandbox.Action{
			Kind: sandbox.Replace, Old: `"accountingDate":"20`, New: `"accountingDate":"2O`}},
		{ID: "429-seconds", Provider: "norskgjeld", Only: "api", After: 40, Times: 1, Action: status(429, sandbox.RetryAfter{Seconds: 2})},
		{ID: "429-date", Provider: "norskgjeld", Only: "api", After: 60, Times: 1, Action: status(429, sandbox.RetryAfter{Seconds: 3, Form: "imf"})},
		{ID: "429-bank", Provider: "sbanken", Only: "api", After: 90, Times: 1, Action: status(429, sandbox.RetryAfter{Seconds: 2, Form: "rfc850"})},
		{ID: "503", Provider: "sbanken", Only: "api", After: 20, Every: 60, Times: 4, Action: status(503, sandbox.RetryAfter{})},
		{ID: "slow-body", Provider: "norskgjeld", Only: "api", After: 25, Every: 50, Times: 3, Action: sandbox.Action{
			Kind: sandbox.Drip, Chunk: 40, DelayMS: 60}},
		{ID: "token-ends", Provider: "norskgjeld", Only: "api", After: 90, Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}},
		{ID: "token-ends-bank", Provider: "sbanken", Only: "api", After: 120, Times: 1, Action: sandbox.Action{Kind: sandbox.ExpireTokens}},
	} {
		if _, err := w.kit.Faults.Add(rule); err != nil {
			return err
		}
	}
	return nil
}

// behave ends the night's faults, so that a rerun can succeed.
func (w *demoWorld) behave() { w.kit.Faults.Clear() }

// leaver is the consent that its person revokes while the run is going.
func (w *demoWorld) leaver() string { return w.ng.Consent(w.ng.Len() * demoLeaver / 100).ID }

// consents is what the demo imports, by connection.
func (w *demoWorld) consents() map[string][]persist.ConsentImport {
	all := map[string][]persist.ConsentImport{}
	for _, c := range w.ng.Consents() {
		all[demoNG] = append(all[demoNG], persist.ConsentImport{
			ExternalID: c.ID, NationalID: c.NationalID, Scopes: []string{c.Scope}, ValidFrom: c.GivenAt, ValidUntil: c.ValidUntil,
			SingleUse: c.SingleUse, Purpose: "demo",
		})
	}
	for i, c := range w.bank.Customers() {
		all[demoBank] = append(all[demoBank], persist.ConsentImport{
			ExternalID: fmt.Sprintf("agreement-%05d", i+1), NationalID: c.CustomerID, KeepPlain: true, Purpose: "demo",
		})
	}
	return all
}

// writeConfig writes the demo's configuration and keys into dir and gives the configuration's path. The secrets are
// the sandbox's own, in files as a real one's would be.
func (w *demoWorld) writeConfig(dir, databaseURL string) (string, error) {
	ng, bank := norskgjeld.DefaultClient(), sbanken.DefaultClient()
	keys, err := persist.NewKeyset()
	if err != nil {
		return "", err
	}
	files := map[string]string{
		"syncer.yaml": fmt.Sprintf(demoConfig, w.urls[demoNG], w.urls[demoNG], w.urls[demoBank], w.urls[demoBank]),
		"syncer.keys": string(keys), "database-url": databaseURL,
		"ng-id": ng.ID, "ng-secret": ng.Secret, "bank-id": bank.ID, "bank-secret": bank.Secret,
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the demo's folder: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write the demo's configuration: %w", err)
		}
	}
	return filepath.Join(dir, "syncer.yaml"), nil
}

// demoConfig has a short lease, so that the worker which the demo kills is missed quickly.
const demoConfig = `# Written by syncer demo. The simulators live only as long as the demo runs.
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: error }
worker: { lease: 3s, heartbeat: 1s, sweep: 500ms, max_wait: 10s, batches: 2, drain: 5s }
connections:
  norskgjeld-sandbox:
    provider: norskgjeld
    environment: preprod
    base_url: %s
    auth_url: %s
    credentials: { client_id: "file:ng-id", client_secret: "file:ng-secret" }
    rate: { per_second: 40 }
    concurrency: 8
    retry: { attempts: 4, base: 200ms, cap: 2s, budget: 20s }
    answers: { keep: 30d }
    allow_private: true
  sbanken-sandbox:
    provider: sbanken
    environment: prod
    base_url: %s
    auth_url: %s
    credentials: { client_id: "file:bank-id", client_secret: "file:bank-secret" }
    rate: { per_second: 60 }
    concurrency: 8
    retry: { attempts: 4, base: 200ms, cap: 2s, budget: 20s }
    answers: { keep: 30d }
    allow_private: true
jobs:
  nightly-debt:
    connection: norskgjeld-sandbox
    datasets: [debt]
    schedule: "30 2 * * *"
    time_zone: Europe/Oslo
    batch_size: 25
  nightly-accounts:
    connection: sbanken-sandbox
    datasets: [accounts, transactions]
    schedule: "0 4 * * *"
    time_zone: Europe/Oslo
    batch_size: 5
    lookback: 10d
    history: 365d
`
