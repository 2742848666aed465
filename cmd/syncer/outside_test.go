package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"syncer/cli"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// The first signal has the program finish what is in hand; the second one ends it at once, with the code of an error. What was
// committed is safe, and the next run goes on with the rest.
func TestASecondSignalEndsTheProgram(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 2}, Concurrency: 1})
	l.ImportNG("ng1", 0, 2)
	mend := l.Rule(sandbox.Rule{Only: "api", After: 1, Action: sandbox.Action{Kind: sandbox.Hang}})
	p := l.Start(nil, "run", "debt1")
	l.Wait("a call hangs", func() bool { return len(l.Arrivals(0)) > 0 && l.Kit.Journal.Arrivals() >= 3 })
	signal := func() {
		t.Helper()
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	signal()
	select {
	case <-p.Ended:
		t.Fatalf("it did not wait for what was in hand: exit code %d", p.ProcessState.ExitCode())
	case <-time.After(time.Second): // a supervisor may deliver one signal twice, so the second one counts after a moment
	}
	signal()
	select {
	case <-p.Ended:
	case <-time.After(8 * time.Second): // the call hangs for 10 s, and is made three times
		t.Fatal("the second signal did not end it")
	}
	if code := p.ProcessState.ExitCode(); code != cli.ExitError {
		t.Errorf("exit code %d, want %d", code, cli.ExitError)
	}
	mend()
	l.Says(0, []string{"run", "debt1"}, "complete")
	l.Verify()
}

// tunnels is a proxy that leads every host to one address, and notes what it was asked for.
type tunnels struct {
	to    string
	mu    sync.Mutex
	asked []string
}

func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(far, near) }()
	_, _ = io.Copy(near, far)
}

// All calls go by the proxy of the environment, those for tokens too. A private address stays refused while it is set; what
// may be dialled is told by TestWhatMayBeDialled.
func TestAProxyIsUsedAndOpensNothingElse(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NG: norskgjeld.Options{Consents: 3}})
	l.ImportNG("ng1", 0, 3)
	provider := httptest.NewTLSServer(l.NG.Handler()) // its certificate is example.com's, and that of 127.0.0.1
	defer provider.Close()
	proxy := &tunnels{to: provider.Listener.Addr().String()}
	front := httptest.NewServer(proxy)
	defer front.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Certificate().Raw})
	if err := os.WriteFile(roots, block, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	registry, rest, _ := strings.Cut(string(text), "\n  bank1:")
	address := regexp.MustCompile(`http://\S+`)
	env := []string{"HTTPS_PROXY=" + front.URL, "https_proxy=", "NO_PROXY=", "no_proxy=", "SSL_CERT_FILE=" + roots}
	lead := func(at string) {
		t.Helper()
		closed := strings.Replace(address.ReplaceAllString(registry, at), "allow_private: true", "allow_private: false", 1)
		if err := os.WriteFile(l.Config, []byte(closed+"\n  bank1:"+rest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, int) {
		t.Helper()
		cmd := l.Command(env, args...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	lead("https://example.com")
	if out, code := run("connections", "move", "ng1", "--keep", "--reason", "a test"); code != 0 {
		t.Fatalf("move the connection: exit code %d\n%s", code, out)
	}
	if out, code := run("run", "debt1"); code != 0 {
		t.Errorf("by the proxy: exit code %d\n%s", code, out)
	}
	proxy.mu.Lock()
	asked := slices.Compact(slices.Clone(proxy.asked))
	proxy.mu.Unlock()
	if !slices.Equal(asked, []string{"CONNECT example.com:443"}) {
		t.Errorf("the proxy was asked for %v", asked)
	}
	before := l.Kit.Journal.Arrivals()
	if before < 4 { // a token, and three consents
		t.Errorf("%d calls arrived", before)
	}
	lead(provider.URL)
	out, code := run("run", "debt1")
	if code == 0 || !strings.Contains(out, "private") {
		t.Errorf("a private address beside the proxy: exit code %d\n%s", code, out)
	}
	if n := l.Kit.Journal.Arrivals() - before; n != 0 {
		t.Errorf("%d calls arrived at a private address", n)
	}
}
