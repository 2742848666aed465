package demo

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"syncer/persist/consents"
	"syncer/persist/seal"
	"syncer/sandbox"
)

// Parts is the demo's list of simulators: a line for each provider, as in providers.go.
func Parts(kit *sandbox.Kit, scale int) []Part {
	return []Part{
		norskgjeldPart(kit, scale),
		sbankenPart(kit, scale),
		vippsPart(kit, scale),
		dbnordicsPart(kit, scale),
		cambioPart(kit, scale),
		fjordbankPart(kit, scale),
		nordvikPart(kit, scale),
	}
}

// Part is one provider's share of the demo.
type Part struct {
	Connection string // its name in the configuration
	Job        string
	Handler    http.Handler      // the simulator
	AuthPath   string            // of its authorization server, below its address
	Files      map[string]string // what the configuration refers to beside it: secrets, mostly
	// Settings is the connection in YAML below its name, without addresses, bounds and answers, which all share; and
	// JobSettings the job's without the connection.
	Settings, JobSettings string
	Consents              []consents.Import
	Faults                []sandbox.Rule
	// Meddle is what somebody does in the middle of the night, and what is told of it; nil: nothing.
	Meddle func() string
}

// World is the sandbox of the demo: one simulator for each provider on a loopback address, with faults on.
type World struct {
	kit    *sandbox.Kit
	server *sandbox.Server
	Parts  []Part
	urls   map[string]string // by connection
}

// newWorld starts the sandbox. Scale 1 is a world that a laptop pulls in well below a minute.
func newWorld(seed uint64, scale int) (*World, error) {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: seed})
	return StartWorld(kit, Parts(kit, scale))
}

// StartWorld starts a sandbox with these simulators, each on a free port.
func StartWorld(kit *sandbox.Kit, parts []Part) (*World, error) {
	return startWorldAt(kit, parts, func(int, Part) string { return "127.0.0.1:0" })
}

// startWorldAt starts a sandbox with these simulators, each at the address that at gives.
func startWorldAt(kit *sandbox.Kit, parts []Part, at func(int, Part) string) (*World, error) {
	server, err := sandbox.Start(kit)
	if err != nil {
		return nil, err
	}
	w := &World{kit: kit, server: server, Parts: parts, urls: map[string]string{}}
	for i, p := range w.Parts {
		if w.urls[p.Connection], err = server.MountAt(p.Connection, at(i, p), p.Handler); err != nil {
			_ = server.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close ends the simulators.
func (w *World) Close() error { return w.server.Close() }

// Misbehave switches the night's faults on.
func (w *World) Misbehave() error {
	for _, p := range w.Parts {
		for _, rule := range p.Faults {
			if _, err := w.kit.Faults.Add(rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// behave ends the night's faults, so that a rerun can succeed.
func (w *World) behave() { w.kit.Faults.Clear() }

// meddle has people do in the middle of the night what they do, and says what.
func (w *World) meddle() (done []string) {
	for _, p := range w.Parts {
		if p.Meddle != nil {
			done = append(done, p.Meddle())
		}
	}
	return done
}

// Jobs are the names of the demo's jobs.
func (w *World) Jobs() (names []string) {
	for _, p := range w.Parts {
		names = append(names, p.Job)
	}
	return names
}

// consents is how many consents the world has.
func (w *World) consents() (n int) {
	for _, p := range w.Parts {
		n += len(p.Consents)
	}
	return n
}

// WriteConfig writes the demo's configuration and keys into dir and gives the configuration's path. The secrets are
// the sandbox's own, in files as a real one's would be.
func (w *World) WriteConfig(dir, databaseURL string) (string, error) {
	keys, err := seal.NewKeyset()
	if err != nil {
		return "", err
	}
	files := map[string]string{"syncer.yaml": w.config(commonSettings), "syncer.keys": string(keys), "database-url": databaseURL}
	for _, p := range w.Parts {
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

// config is a configuration for the world, which begins with what its connections don't say.
func (w *World) config(common string) string {
	text := []string{common, "connections:"}
	for _, p := range w.Parts {
		text = append(text, "  "+p.Connection+":", indented(4, p.Settings),
			indented(4, fmt.Sprintf(connectionSettings, w.urls[p.Connection], w.urls[p.Connection]+p.AuthPath)))
	}
	text = append(text, "jobs:")
	for _, p := range w.Parts {
		text = append(text, "  "+p.Job+":", indented(4, "connection: "+p.Connection), indented(4, p.JobSettings))
	}
	return strings.Join(text, "\n") + "\n"
}

func indented(n int, text string) string {
	lines := slices.Collect(strings.Lines(strings.TrimSpace(text)))
	return strings.Repeat(" ", n) + strings.Join(lines, strings.Repeat(" ", n))
}

// commonSettings has a short lease, so that the worker which the demo kills is missed quickly.
const commonSettings = `# Written by syncer demo. The simulators live only as long as the demo runs.
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: error }
worker: { lease: 3s, heartbeat: 1s, sweep: 500ms, max_wait: 10s, batches: 2, drain: 5s }`

// connectionSettings is what all connections of the demo share.
const connectionSettings = `base_url: %s
auth_url: %s
concurrency: 8
retry: { attempts: 4, base: 200ms, cap: 2s, budget: 20s }
answers: { keep: 30d }
allow_private: true`

// answer is a fault that answers with a status.
func answer(status int, wait sandbox.RetryAfter) sandbox.Action {
	return sandbox.Action{Kind: sandbox.AnswerStatus, Status: status, RetryAfter: wait}
}
