package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/report/text"
)

// ErrNoConsent is for a text that names no consent.
var ErrNoConsent = errors.New("there is no such consent: `syncer consents list` shows what there is")

// ErrConsentName is for a text that can name no consent.
var ErrConsentName = errors.New("a consent is named by its number, or by the provider's id with --connection; " +
	"`syncer consents list` shows both")

// FindConsent finds a consent as commands name it: by our number, or by the provider's id and the connection.
// One that was renewed is found by any id that it had.
func (inst *Installation) FindConsent(ctx context.Context, connection, name string) (finance.Consent, error) {
	var c finance.Consent
	var err error
	if connection != "" {
		c, err = inst.Store.Consents.ByExternalID(ctx, connection, name)
	} else {
		id, bad := strconv.ParseInt(name, 10, 64)
		if bad != nil || id < 1 || CheckNationalID(name) == nil {
			return c, ErrConsentName
		}
		c, err = inst.Store.Consents.ByID(ctx, id)
	}
	if errors.Is(err, pg.ErrNotFound) {
		return c, ErrNoConsent
	}
	return c, err
}

// ConsentNamed finds a consent by the provider's id over a connection, or by our number. A text that is the id of one and the
// number of another is refused: reading the wrong person's consent is worse than asking again.
func (inst *Installation) ConsentNamed(ctx context.Context, connection, name string) (finance.Consent, error) {
	theirs, err := inst.Store.Consents.ByExternalID(ctx, connection, name)
	known := err == nil
	if err != nil && !errors.Is(err, pg.ErrNotFound) {
		return theirs, err
	}
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil || id < 1 {
		if known {
			return theirs, nil
		}
		return theirs, ErrNoConsent
	}
	ours, err := inst.Store.Consents.ByID(ctx, id)
	switch {
	case errors.Is(err, pg.ErrNotFound) && known:
		return theirs, nil
	case errors.Is(err, pg.ErrNotFound):
		return ours, ErrNoConsent
	case err != nil:
		return ours, err
	case known && theirs.ID != ours.ID:
		return ours, fmt.Errorf("it is the provider's id of consent %d, and the number of another consent, whose id is %s: "+
			"name the one that is meant by %[1]d or by %[2]s", theirs.ID, text.Printable(ours.ExternalID))
	}
	return ours, nil
}

// Suspicion is why a consent is suspected; nil: it is not.
func (inst *Installation) Suspicion(ctx context.Context, c finance.Consent) (*read.Suspicion, error) {
	if c.Status != finance.ConsentSuspected {
		return nil, nil
	}
	s, err := inst.Store.Read.Suspicion(ctx, c.ID)
	if errors.Is(err, pg.ErrNotFound) { // not any more
		return nil, nil
	}
	return &s, err
}

// RenewedConsent finds the consent that one which is given renews, before anybody is asked for anything; 0: none is named.
func (inst *Installation) RenewedConsent(ctx context.Context, connection, name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	c, err := inst.FindConsent(ctx, connection, name)
	if err != nil {
		if number, bad := strconv.ParseInt(name, 10, 64); bad == nil && number > 0 {
			c, err = inst.Store.Consents.ByID(ctx, number)
		}
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("--renews %s: there is no such consent over %s: `syncer consents list` shows what there is",
			text.Printable(name), connection)
	case c.Connection != connection:
		return 0, fmt.Errorf("--renews %s: consent %d is over %s, and not over %s", text.Printable(name), c.ID, c.Connection,
			connection)
	}
	return c.ID, nil
}
