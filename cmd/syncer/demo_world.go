package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"syncer/persist"
	"syncer/sandbox"
)

// demoParts is the demo's list of simulators: a line for each provider, as in providers.go.
func demoParts(kit *sandbox.Kit, scale int) []demoPart {
	return []demoPart{
		demoNorskgjeld(kit, scale),
		demoSbanken(kit, scale),
		demoVipps(kit, scale),
		demoDBNordics(kit, scale),
		demoCambio(kit, scale),
		demoFjordbank(kit, scale),
		demoNordvik(kit, scale),
	}
}

// demoPart is one provider's share of the demo.
type demoPart struct {
	Connection string // its name in the configuration
	Job        string
	Handler    http.Handler      // the simulator
	AuthPath   string            // of its authorization server, below its address
	Files      map[string]string // what the configuration refers to beside it: secrets, mostly
	// Settings is the connection in YAML below its name, without addresses, bounds and answers, which all share; and
	// JobSettings the job's without the connection.
	Settings, JobSettings string
	Consents              []persist.ConsentImport
	Faults                []sandbox.Rule
	// Meddle is what somebody does in the middle of the night, and what is told of it; nil: nothing.
	Meddle func() string
}

// demoWorld is the sandbox of the demo: one simulator for each provider on a loopback address, with faults on.
type demoWorld struct {
	kit    *sandbox.Kit
	server *sandbox.Server
	parts  []demoPart
	urls   map[string]string // by connection
}

// newDemoWorld starts the sandbox. Scale 1 is a world that a laptop pulls in well below a minute.
func newDemoWorld(seed uint64, scale int) (*demoWorld, error) {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: seed})
	return startDemoWorld(kit, demoParts(kit, scale))
}

func startDemoWorld(kit *sandbox.Kit, parts []demoPart) (*demoWorld, error) {
	server, err := sandbox.Start(kit)
	if err != nil {
		return nil, err
	}
	w := &demoWorld{kit: kit, server: server, parts: parts, urls: map[string]string{}}
	for _, p := range w.parts {
		if w.urls[p.Connection], err = server.Mount(p.Connection, p.Handler); err != nil {
			_ = server.Close()
			return nil, err
		}
	}
	return w, nil
}

// misbehave switches the night's faults on.
func (w *demoWorld) misbehave() error {
	for _, p := range w.parts {
		for _, rule := range p.Faults {
			if _, err := w.kit.Faults.Add(rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// behave ends the night's faults, so that a rerun can succeed.
func (w *demoWorld) behave() { w.kit.Faults.Clear() }

// meddle has people do in the middle of the night what they do, and says what.
func (w *demoWorld) meddle() (done []string) {
	for _, p := range w.parts {
		if p.Meddle != nil {
			done = append(done, p.Meddle())
		}
	}
	return done
}

// jobs are the names of the demo's jobs.
func (w *demoWorld) jobs() (names []string) {
	for _, p := range w.parts {
		names = append(names, p.Job)
	}
	return names
}

// consents is how many consents the world has.
func (w *demoWorld) consents() (n int) {
	for _, p := range w.parts {
		n += len(p.Consents)
	}
	return n
}

// writeConfig writes the demo's configuration and keys into dir and gives the configuration's path. The secrets are
// the sandbox's own, in files as a real one's would be.
func (w *demoWorld) writeConfig(dir, databaseURL string) (string, error) {
	keys, err := persist.NewKeyset()
	if err != nil {
		return "", err
	}
	files := map[string]string{"syncer.yaml": w.config(), "syncer.keys": string(keys), "database-url": databaseURL}
	for _, p := range w.parts {
		for name, text := range p.Files {
			files[name] = text
		}
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

// config is the demo's configuration.
func (w *demoWorld) config() string {
	text := []string{demoHouse, "connections:"}
	for _, p := range w.parts {
		text = append(text, "  "+p.Connection+":", indented(4, p.Settings),
			indented(4, fmt.Sprintf(demoConnection, w.urls[p.Connection], w.urls[p.Connection]+p.AuthPath)))
	}
	text = append(text, "jobs:")
	for _, p := range w.parts {
		text = append(text, "  "+p.Job+":", indented(4, "connection: "+p.Connection), indented(4, p.JobSettings))
	}
	return strings.Join(text, "\n") + "\n"
}

func indented(n int, text string) string {
	lines := slices.Collect(strings.Lines(strings.TrimSpace(text)))
	return strings.Repeat(" ", n) + strings.Join(lines, strings.Repeat(" ", n))
}

// demoHouse has a short lease, so that the worker which the demo kills is missed quickly.
const demoHouse = `# Written by syncer demo. The simulators live only as long as the demo runs.
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: error }
worker: { lease: 3s, heartbeat: 1s, sweep: 500ms, max_wait: 10s, batches: 2, drain: 5s }`

// demoConnection is what all connections of the demo share.
const demoConnection = `base_url: %s
auth_url: %s
concurrency: 8
retry: { attempts: 4, base: 200ms, cap: 2s, budget: 20s }
answers: { keep: 30d }
allow_private: true`

// answer is a fault that answers with a status.
func answer(status int, wait sandbox.RetryAfter) sandbox.Action {
	return sandbox.Action{Kind: sandbox.AnswerStatus, Status: status, RetryAfter: wait}
}
