package fetchtest

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
)

// refusals are the statuses that one consent may be refused with while others are answered.
func refusals() []int {
	few := []int{
		http.StatusFound, http.StatusNotModified, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusGone, http.StatusInternalServerError,
	}
	if testing.Short() {
		return few
	}
	return append(few,
		http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusPaymentRequired,
		http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusUnsupportedMediaType, http.StatusTeapot, http.StatusUnprocessableEntity, http.StatusLocked,
		http.StatusUnavailableForLegalReasons, http.StatusNotImplemented, http.StatusBadGateway,
		http.StatusServiceUnavailable)
}

// refusedAlone proves that a client which was refused for one consent, with whatever status, goes on
// for the next one: no gate is closed, no token lost, and what came of the first says that its own call
// was refused, and nobody else's.
func (h Harness) refusedAlone(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := tableOf(b.MustRead(t, s, "")...)
		other := h.Consent
		other.ID += 1_000_000
		for _, status := range refusals() {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				undo := h.Instead(0, status, `{"code":"REFUSED","message":"refused"}`)
				pages, err := b.Read(t.Context(), s, "")
				undo()
				for i := range pages {
					if n := pages[i].Count(); n > 0 {
						t.Errorf("a refusal brought %d records", n)
					}
				}
				h.ofOneCall(t, err)
				next := s
				next.Consent, next.Task.Consent = other.ID, &other
				if diff := gocmp.Diff(whole, tableOf(b.MustRead(t, next, "")...)); diff != "" {
					t.Errorf("the next consent:\n%s", diff)
				}
			})
		}
		if pauses := b.Store.Pauses(); len(pauses) > 0 {
			t.Errorf("gates were closed for everybody: %v", pauses)
		}
	})
}

// ofOneCall checks that an error tells of one call for data, so that nobody takes it for the word of
// the token endpoint.
func (h Harness) ofOneCall(t *testing.T, err error) {
	t.Helper()
	if err == nil { // some connectors know what the status means
		return
	}
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok || e.Purpose != calls.ForData || e.Call.IsZero() {
		t.Errorf("it does not tell which call for data was refused: %+v", err)
	}
	h.silent(t, err.Error())
}
