package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// grantAAD binds a sealed refresh token to its consent: moved to another one it can't be opened.
func grantAAD(consent int64) []byte { return fmt.Appendf(nil, "grant:%d", consent) }

// HasGrant says whether there is a refresh token of a consent that its provider has not refused, whoever holds it.
func (s *Store) HasGrant(ctx context.Context, consent int64) (has bool, err error) {
	err = s.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM grants WHERE consent_id = $1 AND refused_at IS NULL)", consent).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for the grant of consent %d: %w", consent, err)
	}
	return has, nil
}

// LoadGrant gives the refresh token of a consent to the holder that it was given to. Nothing is given where there is none,
// or its provider has refused it. One that can't be opened is an error, since the consent itself may be well.
func (s *Store) LoadGrant(ctx context.Context, consent int64, holder string) (g calls.KeptGrant, err error) {
	g, err = s.loadGrant(ctx, consent, holder)
	if err != nil {
		return calls.KeptGrant{}, fmt.Errorf("load the grant of consent %d: %w", consent, err)
	}
	return g, nil
}

func (s *Store) loadGrant(ctx context.Context, consent int64, holder string) (g calls.KeptGrant, err error) {
	const load = "SELECT sealed, holder FROM grants WHERE consent_id = $1 AND refused_at IS NULL"
	var sealed []byte
	var held *string
	err = s.db.QueryRow(ctx, load, consent).Scan(&sealed, &held)
	if err == nil && held == nil {
		if err = s.holdGrants(ctx, consent, holder); err == nil {
			err = s.db.QueryRow(ctx, load, consent).Scan(&sealed, &held)
		}
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return g, nil
	case err != nil:
		return g, err
	case held == nil || *held != holder:
		return calls.KeptGrant{Other: true}, nil
	}
	g.Refresh, err = s.openGrant(consent, sealed)
	return g, err
}

// holdGrants gives all grants of a consent's connection that have no holder this one: they were kept by a version that did
// not know of holders. All at once, because a client that is changed before the last of them is used would get the rest.
func (s *Store) holdGrants(ctx context.Context, consent int64, holder string) error {
	return s.db.InTx(ctx, "note who holds the grants", func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `WITH nobodys AS (
			SELECT g.consent_id FROM grants g JOIN consents c ON c.id = g.consent_id
			WHERE g.holder IS NULL AND c.connection = (SELECT connection FROM consents WHERE id = $1)
			ORDER BY g.consent_id FOR UPDATE OF g
		)
		UPDATE grants SET holder = $2 WHERE consent_id IN (SELECT consent_id FROM nobodys)`, consent, holder)
		return err
	})
}

func (s *Store) openGrant(consent int64, sealed []byte) (finance.Secret, error) {
	plain, err := s.keys.Unseal(sealed, grantAAD(consent))
	if err != nil {
		return finance.Secret{}, fmt.Errorf("%w: put the keys that have sealed it into the key file, or ask the "+
			"person again by `syncer consents authorize`", err)
	}
	defer clear(plain)
	return finance.NewSecret(string(plain)), nil
}

// SaveGrant replaces the refresh token of a consent, if the stored one is still old. saved false: somebody else has
// rotated it, or it is gone. Saving what is stored already is saved true, so that a save whose answer was lost may be
// repeated. A refresh that has succeeded overrules a refusal.
func (s *Store) SaveGrant(ctx context.Context, consent int64, old, next finance.Secret) (saved bool, err error) {
	return s.changeGrant(ctx, "save", consent, func(tx pgx.Tx, stored finance.Secret) (bool, error) {
		if stored == next {
			return true, nil
		}
		if stored != old {
			return false, nil
		}
		sealed, err := s.keys.Seal([]byte(next.Reveal()), grantAAD(consent))
		if err != nil {
			return false, err
		}
		_, err = tx.Exec(ctx, "UPDATE grants SET sealed = $2, rotated_at = clock_timestamp(), refused_at = NULL WHERE consent_id = $1",
			consent, sealed)
		return true, err
	})
}

// EndGrant marks the refresh token of a consent as refused by its provider, if the stored one is still this one: LoadGrant
// gives it no more. ended false: somebody else has replaced it, so the refusal was of an old one.
func (s *Store) EndGrant(ctx context.Context, consent int64, refused finance.Secret) (ended bool, err error) {
	return s.changeGrant(ctx, "end", consent, func(tx pgx.Tx, stored finance.Secret) (bool, error) {
		if stored != refused {
			return false, nil
		}
		_, err := tx.Exec(ctx, "UPDATE grants SET refused_at = coalesce(refused_at, clock_timestamp()) WHERE consent_id = $1", consent)
		return true, err
	})
}

// BelieveGrant takes a refusal of a consent's grant back, because the refusal itself is not believed.
func BelieveGrant(ctx context.Context, tx pgx.Tx, consent int64) error {
	_, err := tx.Exec(ctx, "UPDATE grants SET refused_at = NULL WHERE consent_id = $1 AND refused_at IS NOT NULL", consent)
	return err
}

// changeGrant compares and changes a grant under its row's lock. The sealed bytes themselves can't be compared: the same
// token sealed twice, as by a change of keys, is not the same bytes.
func (s *Store) changeGrant(ctx context.Context, what string, consent int64,
	change func(tx pgx.Tx, stored finance.Secret) (bool, error)) (changed bool, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("%s the grant of consent %d", what, consent), func(tx pgx.Tx) error {
		var sealed []byte
		err := tx.QueryRow(ctx, "SELECT sealed FROM grants WHERE consent_id = $1 FOR UPDATE", consent).Scan(&sealed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		stored, err := s.openGrant(consent, sealed)
		if err == nil {
			changed, err = change(tx, stored)
		}
		return err
	})
	return changed && err == nil, err
}

// GiveGrant replaces what is kept of an earlier grant. The access tokens that came by it are forgotten in every process
// that has not read them yet; where one is in use it works until it ends or is refused.
func GiveGrant(ctx context.Context, tx pgx.Tx, keys *seal.Sealer, connection string, consent int64, refresh finance.Secret,
	holder string) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET sealed = NULL, expires_at = NULL, updated_at = now()
		WHERE starts_with(key, $1 || E'\n') AND right(key, length($2)) = $2`, connection, fmt.Sprintf("\nconsent %d", consent))
	if err != nil {
		return err
	}
	if refresh.IsZero() {
		_, err = tx.Exec(ctx, "DELETE FROM grants WHERE consent_id = $1", consent)
		return err
	}
	sealed, err := keys.Seal([]byte(refresh.Reveal()), grantAAD(consent))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO grants (consent_id, sealed, holder) VALUES ($1, $2, nullif($3, '')) ON CONFLICT (consent_id) DO UPDATE
		SET sealed = $2, holder = excluded.holder, granted_at = clock_timestamp(), rotated_at = NULL, refused_at = NULL`, consent, sealed, holder)
	return err
}
