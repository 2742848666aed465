package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Control is the surface that steers the kit from another process:
//
//	GET    /_sandbox/journal?after=SEQ   the journal, one entry a line of JSON
//	DELETE /_sandbox/journal             forget it
//	GET    /_sandbox/proof?flight=50ms   calls inside windows, idle times, counts
//	GET    /_sandbox/faults              the rules in force
//	POST   /_sandbox/faults              add a Rule; answers {"id":...}
//	DELETE /_sandbox/faults[/ID]         take all rules or one away
//	GET    /_sandbox/clock               the simulators' present
//	POST   /_sandbox/clock?advance=1h    move it
//	POST   /_sandbox/tokens/expire?provider=NAME
//	*      /_sandbox/NAME/...            the simulator's own controls
func (k *Kit) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/journal", k.readJournal)
	mux.HandleFunc("DELETE /_sandbox/journal", func(w http.ResponseWriter, _ *http.Request) {
		k.Journal.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sandbox/proof", k.prove)
	mux.HandleFunc("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, k.Faults.Rules())
	})
	mux.HandleFunc("POST /_sandbox/faults", k.addFault)
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		k.Faults.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_sandbox/faults/{id}", k.removeFault)
	mux.HandleFunc("GET /_sandbox/clock", k.tellTime)
	mux.HandleFunc("POST /_sandbox/clock", k.moveClock)
	mux.HandleFunc("POST /_sandbox/tokens/expire", func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, http.StatusOK, map[string]int{"expired": k.ExpireTokens(r.URL.Query().Get("provider"))})
	})
	mux.HandleFunc("/_sandbox/", k.simulatorControl)
	return mux
}

func (k *Kit) readJournal(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64) // absent: all
	k.waitForAnswers(r)
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = k.Journal.WriteJSON(w, after) // the reader may be gone
}

// waitForAnswers gives answers that are just being finished time to get into the
// journal. One that hangs on purpose must not hold the reader up.
func (k *Kit) waitForAnswers(r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
	defer cancel()
	_ = k.Journal.WaitForAnswers(ctx)
}

func (k *Kit) prove(w http.ResponseWriter, r *http.Request) {
	flight, _ := time.ParseDuration(r.URL.Query().Get("flight")) // absent: strict
	k.waitForAnswers(r)
	totals := make(map[string]int)
	for t, n := range k.Journal.Totals() {
		kind := "api"
		if t.Token {
			kind = "token"
		}
		totals[fmt.Sprintf("%s %s %d", t.Provider, kind, t.Status)] = n
	}
	WriteJSON(w, http.StatusOK, map[string]any{
		"arrivals": k.Journal.Arrivals(), "totals": totals,
		"inside_windows": k.Journal.InsideWindows(flight), "idle": k.Journal.IdleTime(),
	})
}

func (k *Kit) addFault(w http.ResponseWriter, r *http.Request) {
	var rule Rule
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rule); err != nil {
		http.Error(w, "fault rule: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, err := k.Faults.Add(rule)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	WriteJSON(w, http.StatusCreated, map[string]string{"id": id})
}

func (k *Kit) removeFault(w http.ResponseWriter, r *http.Request) {
	if !k.Faults.Remove(r.PathValue("id")) {
		http.Error(w, "no such rule", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (k *Kit) tellTime(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, map[string]time.Time{"now": k.Clock.Now().UTC()})
}

func (k *Kit) moveClock(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("advance"))
	if err != nil {
		http.Error(w, "advance must be a duration such as 36h", http.StatusBadRequest)
		return
	}
	k.Clock.Advance(d)
	k.tellTime(w, r)
}

func (k *Kit) simulatorControl(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/_sandbox/"), "/")
	k.mu.Lock()
	control := k.control[name]
	k.mu.Unlock()
	if control == nil {
		http.NotFound(w, r)
		return
	}
	http.StripPrefix("/_sandbox/"+name, control).ServeHTTP(w, r)
}
