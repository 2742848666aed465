package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"syncer/fetch"
	"syncer/report"
)

// keepConsent takes a callback's parameters to a consent that is kept.
type keepConsent func(ctx context.Context, callback url.Values) (report.GivenConsent, error)

// isLoopback says that a redirect address leads to this machine and nowhere else.
func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// listen opens the redirect address on loopback. localhost may be either of two addresses to a browser.
func listen(ctx context.Context, redirect *url.URL) ([]net.Listener, error) {
	hosts := []string{redirect.Hostname()}
	if hosts[0] == "localhost" {
		hosts = []string{"127.0.0.1", "::1"}
	}
	var open []net.Listener
	for _, host := range hosts {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, cmp.Or(redirect.Port(), "80")))
		if err == nil {
			open = append(open, l)
		} else if len(open) == 0 {
			return nil, fmt.Errorf("listen at the redirect address: %w (does another `syncer consents authorize` wait there?)", err)
		}
	}
	return open, nil
}

// byCallback waits for the browser at the redirect address. A request with another state than ours is turned away and
// changes nothing, however many come.
func (p *Program) byCallback(ctx context.Context, redirect *url.URL, link string, s authorization, keep keepConsent) (report.GivenConsent, error) {
	listeners, err := listen(ctx, redirect)
	if err != nil {
		return report.GivenConsent{}, err
	}
	w := &waiter{ctx: ctx, redirect: redirect, keep: keep, done: make(chan struct{})}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() { _ = server.Serve(l) })
	}
	defer serving.Wait()
	defer func() { // lets the confirmation reach the browser
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(end)
		_ = server.Close()
	}()
	if err := p.showLink(ctx, link, s); err != nil {
		return report.GivenConsent{}, err
	}
	p.hint("Waiting for the answer at %s://%s%s ...", redirect.Scheme, redirect.Host, redirect.Path)
	select {
	case <-w.done:
		return w.given, w.err
	case <-ctx.Done():
		w.mu.Lock() // an answer that is just being kept counts
		defer w.mu.Unlock()
		if w.ended {
			return w.given, w.err
		}
		w.ended = true
		return report.GivenConsent{}, ctx.Err()
	}
}

// waiter is what listens at the redirect address.
type waiter struct {
	ctx      context.Context // the command's: a browser that leaves must not stop an exchange half way
	redirect *url.URL
	keep     keepConsent

	mu    sync.Mutex // one callback at a time
	ended bool
	given report.GivenConsent
	err   error
	done  chan struct{} // closed with the answer
}

// ServeHTTP answers the browser. Another Host is a page elsewhere whose name was turned to this machine.
func (w *waiter) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if r.URL.Path != cmp.Or(w.redirect.Path, "/") || strings.TrimSuffix(r.Host, ":80") != strings.TrimSuffix(w.redirect.Host, ":80") {
		http.NotFound(out, r)
		return
	}
	if r.Method != http.MethodGet {
		out.Header().Set("Allow", http.MethodGet)
		http.Error(out, "only GET", http.StatusMethodNotAllowed)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	given := report.GivenConsent{}
	err := fetch.ErrNotOurs
	if !w.ended {
		given, err = w.keep(w.ctx, r.URL.Query())
	}
	switch {
	case errors.Is(err, fetch.ErrNotOurs):
		showPage(out, http.StatusBadRequest, "This is not the answer that is waited for", "Nothing was done with it. If you were asked for a consent, open its link again.")
		return
	case err != nil:
		title, text := explained(err)
		showPage(out, http.StatusOK, title, text)
	default:
		showPage(out, http.StatusOK, "Thank you: the consent is kept", given.Text()+" You can close this page.")
	}
	w.ended = true
	w.given = given
	w.err = err
	close(w.done)
}

// byHand is for a redirect address that is not on this machine: the person brings the address at which the browser has
// ended.
func (p *Program) byHand(ctx context.Context, in *bufio.Reader, redirect *url.URL, link string, s authorization, keep keepConsent) (report.GivenConsent, error) {
	if err := p.showLink(ctx, link, s); err != nil {
		return report.GivenConsent{}, err
	}
	p.hint("The browser ends at %s://%s%s. Paste the whole address of that page here, within a minute or so:", redirect.Scheme, redirect.Host, redirect.Path)
	type typed struct {
		line string
		err  error
	}
	lines := make(chan typed, 1)
	go func() { // reading stdin can't be interrupted; the goroutine ends with the program
		line, err := readLine(in)
		lines <- typed{line, err}
	}()
	var t typed
	select {
	case t = <-lines:
	case <-ctx.Done():
		return report.GivenConsent{}, ctx.Err()
	}
	if t.err != nil {
		return report.GivenConsent{}, fmt.Errorf("read the address from stdin: %w", t.err)
	}
	u, err := url.Parse(t.line)
	if err != nil || u.Scheme != redirect.Scheme || u.Host != redirect.Host || u.Path != redirect.Path {
		return report.GivenConsent{}, errors.New("what was pasted is not the redirect address with the answer behind it") // not repeated: it may hold a code
	}
	return keep(ctx, u.Query())
}

// showLink prints the link, and opens it.
func (p *Program) showLink(ctx context.Context, link string, s authorization) error {
	if p.json {
		return p.line(map[string]string{"event": "asked", "link": link})
	}
	p.say("Let the person open this link. It is good for one answer, and for them only:\n\n  %s\n", link)
	if s.Browser {
		if err := openBrowser(ctx, link); err != nil {
			p.hint("The browser could not be opened here: open the link by hand.")
		}
	}
	return nil
}

// openBrowser asks the desktop to open a link.
func openBrowser(ctx context.Context, link string) error {
	name := "xdg-open"
	args := []string{link}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name = "rundll32"
		args = []string{"url.dll,FileProtocolHandler", link}
	}
	if !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "http://") {
		return errors.New("not a web address")
	}
	// It may be the browser itself, which must not end with us.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // so that no zombie is left; how it ends says nothing
	return nil
}
