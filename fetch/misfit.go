package fetch

import (
	"errors"
	"fmt"
	"net/http"

	"syncer/fetch/resume"
	"syncer/finance"
)

// resettable is the reason why a position does not fit, with what an operator can do about it. Our own numbers of
// connection and consent are no personal data; an account's id may be, so the command takes all accounts of the consent.
func resettable(why, connection string, s *finance.Stream) string {
	return fmt.Sprintf("%s: `syncer streams reset --connection %s --consent %d --dataset %s` "+
		"lets it be read from the beginning", why, connection, s.Consent, s.Dataset)
}

// MisfitFeed is the reason of a stored position in the connection's feed of consent events from which reading can't go
// on, with what an operator can do about it.
func (c *Client) MisfitFeed(why string) string {
	return fmt.Sprintf("%s: `syncer streams reset --connection %s --feed` lets the feed be read from its oldest event, "+
		"and asks for the status of consents that are older", why, c.opt.Connection.Name)
}

// strayed leads from a stored link that may not be followed any more to the beginning of its list.
func (w *walk) strayed(err error) bool {
	stray, ok := errors.AsType[*resume.StrayError](err)
	if !ok || !w.at.Stored || w.anew {
		return false
	}
	w.c.seldom.of("link "+string(w.stream.Dataset), w.c.opt.Log.Info()).Err(stray.Err).Str("dataset", string(w.stream.Dataset)).
		Msg("the link that was stored may not be followed any more, so the list is read from its beginning once more")
	w.leadTo(stray.Anew)
	return true
}

// RefusesDay says whether a refusal is one by which providers refuse a day that lies too long ago.
func RefusesDay(e *Error) bool {
	if e.Class != finance.Rejected {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
