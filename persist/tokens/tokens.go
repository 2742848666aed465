package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"syncer/calls"
	"syncer/persist/pg"

	"github.com/jackc/pgx/v5"
)

// sealedToken is what is sealed of a token: all of it.
type sealedToken struct {
	AccessToken string    `json:"access_token"`
	Type        string    `json:"type"`
	Expiry      time.Time `json:"expiry"`
	RefreshAt   time.Time `json:"refresh_at"`
}

// tokenName is a token's key for people: its parts are on lines of their own.
func tokenName(key string) string { return strings.Join(strings.Fields(key), " ") }

func tokenAAD(key string) []byte { return []byte("token:" + key) }

// LoadToken gives the stored token, or ok false. A token that can't be opened, because it was sealed with a key that
// has been retired, is as good as none: the next refresh replaces it.
func (s *Store) LoadToken(ctx context.Context, key string) (t calls.Token, ok bool, err error) {
	t, _, err = s.loadToken(ctx, key)
	return t, t.AccessToken != "", err
}

func (s *Store) loadToken(ctx context.Context, key string) (t calls.Token, sealed []byte, err error) {
	err = s.db.QueryRow(ctx, "SELECT sealed FROM tokens WHERE key = $1", key).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && sealed == nil {
		return t, nil, nil
	}
	if err != nil {
		return t, nil, fmt.Errorf("load the token %s: %w", tokenName(key), err)
	}
	plain, err := s.keys.Unseal(sealed, tokenAAD(key))
	if err != nil {
		return t, sealed, nil
	}
	defer clear(plain)
	var v sealedToken
	if json.Unmarshal(plain, &v) != nil { // its error would quote the token
		return t, sealed, nil
	}
	return calls.Token(v), sealed, nil
}

// LockToken asks for the right to refresh the token for at most d. Exactly one asker in all processes holds it; the
// asker may be another goroutine of this process, so a second asker never shares the right. A worker whose lease has
// ended holds it no more: who was killed while it asked for a token would keep all others from theirs.
func (s *Store) LockToken(ctx context.Context, key string, d time.Duration) (got bool, err error) {
	tag, err := s.db.Exec(ctx, `INSERT INTO tokens AS t (key, refreshing_until, refreshing_by)
		VALUES ($1, clock_timestamp() + $2 * interval '1 microsecond', $3)
		ON CONFLICT (key) DO UPDATE SET refreshing_until = clock_timestamp() + $2 * interval '1 microsecond',
			refreshing_by = excluded.refreshing_by
		WHERE t.refreshing_until <= clock_timestamp() OR EXISTS
			(SELECT FROM workers w WHERE w.id = t.refreshing_by AND w.expires_at <= clock_timestamp())`, key, pg.Micros(d), s.db.Worker.ID)
	if err != nil {
		return false, fmt.Errorf("lock the token %s: %w", tokenName(key), err)
	}
	return tag.RowsAffected() == 1, nil
}

// SaveToken stores a new token and gives the right to refresh back. A token that comes after its right has passed on
// to another process is stored all the same, as it is as good as the other's; the other's right is left alone.
func (s *Store) SaveToken(ctx context.Context, key string, t calls.Token) error {
	plain, err := json.Marshal(sealedToken(t))
	if err != nil {
		return fmt.Errorf("save the token %s: its times can't be written", tokenName(key))
	}
	defer clear(plain)
	sealed, err := s.keys.Seal(plain, tokenAAD(key))
	if err != nil {
		return fmt.Errorf("seal the token %s: %w", tokenName(key), err)
	}
	_, err = s.db.Exec(ctx, `INSERT INTO tokens AS t (key, sealed, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (key) DO UPDATE SET sealed = $2, expires_at = $3, updated_at = now(),
			refreshing_until = CASE WHEN t.refreshing_by = $4 THEN '-infinity' ELSE t.refreshing_until END,
			refreshing_by = nullif(t.refreshing_by, $4)`, key, sealed, pg.NullTime(t.Expiry), s.db.Worker.ID)
	if err != nil {
		return fmt.Errorf("save the token %s: %w", tokenName(key), err)
	}
	return nil
}

// DropToken forgets the token if it is still the one with this access token, because a provider refused it. A newer
// one, which another process has stored meanwhile, stays.
//
// dropped false: it is not, so another caller has been refused it before.
func (s *Store) DropToken(ctx context.Context, key, accessToken string) (dropped bool, err error) {
	for { // again where the row has changed in between: it may be the same token, sealed with another key
		t, sealed, err := s.loadToken(ctx, key)
		if err != nil || sealed == nil || t.AccessToken != accessToken {
			return false, err
		}
		tag, err := s.db.Exec(ctx, `UPDATE tokens SET sealed = NULL, expires_at = NULL, updated_at = now()
			WHERE key = $1 AND sealed = $2`, key, sealed)
		if err != nil {
			return false, fmt.Errorf("drop the token %s: %w", tokenName(key), err)
		}
		if tag.RowsAffected() > 0 {
			return true, nil
		}
	}
}

// UnlockToken gives the right to refresh back without a new token.
func (s *Store) UnlockToken(ctx context.Context, key string) error {
	_, err := s.db.Exec(ctx, `UPDATE tokens SET refreshing_until = '-infinity', refreshing_by = NULL
		WHERE key = $1 AND refreshing_by = $2`, key, s.db.Worker.ID)
	if err != nil {
		return fmt.Errorf("unlock the token %s: %w", tokenName(key), err)
	}
	return nil
}

// ForgetTokens deletes tokens that ended an hour ago, and what is left of those that were refused or forgotten. Whoever is
// about to refresh one keeps its row.
func (s *Store) ForgetTokens(ctx context.Context) error {
	_, err := s.db.Exec(ctx, `DELETE FROM tokens
		WHERE coalesce(expires_at, updated_at) < clock_timestamp() - interval '1 hour' AND refreshing_until < clock_timestamp()`)
	if err != nil {
		return fmt.Errorf("forget tokens that have ended: %w", err)
	}
	return nil
}
