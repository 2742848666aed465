package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncer/demo"
	"syncer/persist/persisttest"
	"syncer/proof/lab"
)

// TestTheSandboxIsThereToTryJobs starts the simulators as somebody does who wants to try jobs: the configuration that is
// written calls them, and stays whose it is when the sandbox is started again.
func TestTheSandboxIsThereToTryJobs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "try")
	first := startSandbox(t, dir, "--port", "0")
	if len(first.Providers) != 7 {
		t.Fatalf("%d simulators: %+v", len(first.Providers), first)
	}
	database := "SYNCER_DATABASE_URL=" + persisttest.URL(t)
	syncer := func(code int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "syncer", args...)
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "SYNCER_CONFIG="+first.Config, database)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("syncer %v: exit code %d, want %d\n%s", args, got, code, out)
		}
		return string(out)
	}
	syncer(0, "db", "migrate")
	for _, one := range first.Providers {
		syncer(0, "consents", "import", one.File, "--connection", one.Connection)
	}
	syncer(0, "check")
	if out := syncer(3, "run", "nightly-claims"); !strings.Contains(out, "nightly-claims  partial") {
		t.Errorf("the simulator of claims has creditors that have not reported:\n%s", out)
	}
	if out := syncer(0, "run", "nightly-accounts"); !strings.Contains(out, "balances") {
		t.Errorf("balances are not counted apart:\n%s", out)
	}
	first.stop(t)

	edited := append(contentOf(t, first.Config), "# my own words\n"...)
	if err := os.WriteFile(first.Config, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	bank := filepath.Join(dir, "fjordbank.yaml")
	described := append(contentOf(t, bank), "# my own words\n"...)
	if err := os.WriteFile(bank, described, 0o600); err != nil {
		t.Fatal(err)
	}
	second := startSandbox(t, dir)
	defer second.stop(t)
	if !bytes.Equal(contentOf(t, second.Config), edited) || second.Providers[3] != first.Providers[3] {
		t.Errorf("the sandbox has not come back as it was: %+v, before %+v", second.Providers, first.Providers)
	}
	if !bytes.Equal(contentOf(t, bank), described) {
		t.Error("a description that was edited has not stayed as it was")
	}
	syncer(0, "check")
}

func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// runningSandbox is a `syncer sandbox` with what it has said.
type runningSandbox struct {
	Config    string                   `json:"config"`
	Providers []demo.SimulatedProvider `json:"providers"`

	cmd *exec.Cmd
	out io.Reader
}

func startSandbox(t *testing.T, dir string, args ...string) *runningSandbox {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "syncer", append([]string{"sandbox", dir, "--json"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &runningSandbox{cmd: cmd, out: out}
	if err := json.NewDecoder(out).Decode(s); err != nil {
		t.Fatalf("what the sandbox says is no document: %v", err)
	}
	return s
}

// stop ends it as Ctrl-C does.
func (s *runningSandbox) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if more, err := io.ReadAll(s.out); err != nil || strings.TrimSpace(string(more)) != "" {
		t.Errorf("it says more than one document: %q, %v", more, err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("a sandbox that is stopped has failed: %v", err)
	}
}

// TestDemoPrintsOneDocument runs the smallest demo for programs, and sees to it that the Postgres it has started is gone.
func TestDemoPrintsOneDocument(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	d := demoPlace(t)
	cmd := d.command()
	cmd.Args = append(cmd.Args, "--json")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var told struct {
		Config string           `json:"config"`
		Runs   []map[string]any `json:"runs"`
	}
	if err := json.Unmarshal(out, &told); err != nil || len(told.Runs) != 7 || told.Config != "" {
		t.Errorf("%v: %d runs, config %q", err, len(told.Runs), told.Config)
	}
	status := exec.CommandContext(t.Context(), "syncer", "db", "status")
	status.Dir = d.folder
	status.Env = append(os.Environ(), "SYNCER_STATE_DIR="+d.state)
	if said, _ := status.CombinedOutput(); strings.Contains(string(said), "answers") {
		t.Errorf("the Postgres of the demo still runs: %s", said)
	}
}
