package demo

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"syncer/app"
	"syncer/config"
	"syncer/persist/consents"
	"syncer/persist/seal"
	"syncer/sandbox"
)

// SandboxOptions say what a sandbox is like.
type SandboxOptions struct {
	Dir    string // where the configuration lies, with keys, secrets and lists of consents
	Port   int    // of the first simulator, and the others have the next ones; 0: any that are free
	Seed   uint64 // of the simulated world: the same seed is the same world
	Scale  int    // how many times the usual world
	Faults bool   // whether the simulators misbehave as in the demo's night

	Env config.Env
}

// Sandbox are the simulators of all providers on this machine, with a configuration to call them with.
type Sandbox struct {
	*World
	Config  string // its path
	Written bool   // it was not there before
}

// SimulatedProvider is one of them.
type SimulatedProvider struct {
	Connection string `json:"connection"`
	Job        string `json:"job"`
	URL        string `json:"base_url"`
	Consents   int    `json:"consents"`
	File       string `json:"file"` // a list of its consents, to import
}

// StartSandbox starts the simulators and writes what is needed to call them. A configuration and keys that are there are left
// as they are, and the simulators take the addresses that it names: whoever has edited it goes on with it the next day.
func StartSandbox(o SandboxOptions) (*Sandbox, error) {
	path := filepath.Join(o.Dir, config.DefaultPath)
	known, err := knownAddresses(path, o.Env)
	if err != nil {
		return nil, err
	}
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: o.Seed})
	world, err := startWorldAt(kit, Parts(kit, o.Scale), func(i int, p Part) string {
		if known[p.Connection] != "" {
			return known[p.Connection]
		}
		if o.Port == 0 {
			return "127.0.0.1:0"
		}
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port+i))
	})
	if err != nil {
		return nil, fmt.Errorf("%w: is another sandbox running? --port chooses other ports for a new folder", err)
	}
	s := &Sandbox{World: world, Config: path, Written: known == nil}
	if err := s.write(o.Dir); err != nil {
		return nil, errors.Join(err, world.Close())
	}
	if o.Faults {
		if err := world.Misbehave(); err != nil {
			return nil, errors.Join(err, world.Close())
		}
	}
	return s, nil
}

// knownAddresses are the addresses of connections that a configuration names on loopback; nil: there is none yet.
func knownAddresses(path string, env config.Env) (map[string]string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	cfg, err := config.Load(path, env)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for name, c := range cfg.Connections {
		at, err := url.Parse(c.BaseURL)
		if err != nil {
			continue
		}
		if ip := net.ParseIP(at.Hostname()); ip != nil && ip.IsLoopback() && at.Port() != "" {
			known[name] = at.Host
		}
	}
	return known, nil
}

// write writes the configuration, the keys and the descriptions where there are none, since they may have been edited, and the
// secrets and lists of the simulators anew.
func (s *Sandbox) write(dir string) error {
	keys, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "consents"), 0o755); err != nil {
		return fmt.Errorf("make the sandbox's folder: %w", err)
	}
	files := map[string]string{config.DefaultPath: s.config(sandboxSettings), "syncer.keys": string(keys)}
	for _, p := range s.Parts {
		list, err := consentList(p.Consents)
		if err != nil {
			return err
		}
		files[consentFile(p)] = list
		for name, text := range p.Files {
			files[name] = text
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		ours := filepath.Ext(name) == ".yaml" || name == "syncer.keys" // to be kept
		if _, err := os.Stat(path); err == nil && ours {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the sandbox's files: %w", err)
		}
	}
	return nil
}

// consentFile is the list of a simulator's consents, in the sandbox's folder.
func consentFile(p Part) string { return filepath.Join("consents", p.Connection+".csv") }

// consentList is a list of consents to import.
func consentList(list []consents.Import) (string, error) {
	var out strings.Builder
	w := csv.NewWriter(&out)
	lines := [][]string{{"external_id", "national_id", "scopes", "valid_from", "valid_until", "single_use", "purpose"}}
	for _, c := range list {
		lines = append(lines, []string{c.ExternalID, importable(c.NationalID), strings.Join(c.Scopes, " "), written(c.ValidFrom),
			written(c.ValidUntil), strconv.FormatBool(c.SingleUse), c.Purpose})
	}
	err := w.WriteAll(lines)
	return out.String(), err
}

// importable is a number of a simulator's as a list of consents has it: a Swedish one with its century. A number that is no
// person's, such as a merchant's owner may have, is left out, since no call carries it.
func importable(number string) string {
	const swedish, firstYear = 10, "50" // the simulators' people are born from 1950 on
	switch {
	case len(number) == swedish && number >= firstYear:
		number = "19" + number
	case len(number) == swedish:
		number = "20" + number
	}
	if app.CheckNationalID(number) != nil {
		return ""
	}
	return number
}

// written is an instant in a list of consents; empty: none.
func written(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// Providers are the simulators that run.
func (s *Sandbox) Providers() (list []SimulatedProvider) {
	for _, p := range s.Parts {
		list = append(list, SimulatedProvider{
			Connection: p.Connection, Job: p.Job, URL: s.urls[p.Connection], Consents: len(p.Consents),
			File: filepath.Join(filepath.Dir(s.Config), consentFile(p)),
		})
	}
	return list
}

// sandboxSettings is what the connections of a sandbox's configuration don't say.
const sandboxSettings = `# Written by syncer sandbox, and yours from now on: it is never written again. The simulators take the ports that
# stand here as base_url, whenever syncer sandbox runs. Change the jobs, or add your own.
#
# The database is an embedded one, beside this file, and nobody else's. For another one: database: { url: env:NAME }.
database: { state_dir: ./state }
keys: { file: ./syncer.keys }
log: { level: info }`
