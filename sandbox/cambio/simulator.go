package cambio

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"

	"syncer/sandbox"
)

// Name is the provider's name in the journal, in fault rules and in the control
// paths.
const Name = "cambio"

// Simulator is the gateway and what lies behind it.
type Simulator struct {
	o        Options
	world    *world
	tokens   *sandbox.OAuth2
	auth     *sandbox.Authorize
	limiter  *sandbox.Limiter
	searches *searches
	answers  atomic.Uint64 // numbers correlation ids
	endless  atomic.Bool
}

// New returns a gateway. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{
		o: o, world: newWorld(o), limiter: sandbox.NewLimiter(o.Kit.Clock, o.Quota),
		searches: &searches{ttl: o.PageTTL, kept: map[string]*search{}},
	}
	s.openRealm()
	return s
}

// Handler serves the gateway, the realm included, with the kit's journal, faults
// and controls. Every answer carries a correlation id, those of the kit too.
func (s *Simulator) Handler() http.Handler {
	inner := s.o.Kit.Handler(sandbox.Site{
		Name: Name, Describe: s.describe, API: http.HandlerFunc(s.serve), Control: s.control(),
		Limiter: s.limiter, Problem: s.problem,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := sandbox.UUIDs{Seed: sandbox.Mix(s.o.Seed, 'x')}.At(int(s.answers.Add(1)))
		w.Header().Set("X-COS-CORRELATION-ID", id)
		inner.ServeHTTP(&gateway{ResponseWriter: w, quiet: s.o.OnlySentence}, r)
	})
}

// gateway is the outermost writer: in a 429 it names the seconds of Retry-After
// in the message as well.
type gateway struct {
	http.ResponseWriter
	quiet   bool
	seconds string // set in a 429
}

// secondsHere is what a 429's message has in the place of the seconds.
const secondsHere = "{seconds}"

func (g *gateway) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		g.seconds = "5"
		if n, err := strconv.Atoi(g.Header().Get("Retry-After")); err == nil {
			g.seconds = strconv.Itoa(n)
		}
		if g.quiet {
			g.Header().Del("Retry-After")
		}
	}
	g.ResponseWriter.WriteHeader(status)
}

func (g *gateway) Write(b []byte) (int, error) {
	if g.seconds != "" {
		if _, err := g.ResponseWriter.Write(bytes.Replace(b, []byte(secondsHere), []byte(g.seconds), 1)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return g.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (g *gateway) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// Tokens is the token endpoint, for counting its calls and rotating secrets.
func (s *Simulator) Tokens() *sandbox.OAuth2 { return s.tokens }

// Authorize is the realm's login: who sits before the browser, and the grants
// that patients have given.
func (s *Simulator) Authorize() *sandbox.Authorize { return s.auth }

// Len is the number of seeded patients.
func (s *Simulator) Len() int { return s.o.Patients }

// Patient is seeded patient number i, below Len.
func (s *Simulator) Patient(i int) PatientInfo { return s.world.patient(i) }

func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSpace(body.Bytes())) // the caller may be gone
}
