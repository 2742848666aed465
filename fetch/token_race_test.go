package fetch_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
)

// slowStore is a token store whose answers are on their way for a while.
type slowStore struct {
	*fetchtest.CallStore
	lag time.Duration
}

func (s *slowStore) LoadToken(ctx context.Context, key string) (calls.Token, bool, error) {
	token, ok, err := s.CallStore.LoadToken(ctx, key)
	<-time.After(s.lag)
	return token, ok, err
}

func (s *slowStore) DropToken(ctx context.Context, key, accessToken string) (bool, error) {
	<-time.After(s.lag)
	return s.CallStore.DropToken(ctx, key, accessToken)
}

// A caller that asks while a refused token is being dropped may find it in the store for the last time. Whoever was
// refused with it must not be handed it again: the second refusal parks the connection.
func TestARefusedTokenDoesNotComeBackFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newIssuer(time.Hour), fetchtest.NewCallStore()
		p, o, stop := tokened(t, s, l)
		defer stop()
		o.Tokens = &slowStore{CallStore: l, lag: 100 * time.Millisecond}
		c := client(t, o)
		do := func(path string) {
			if _, err := c.Do(t.Context(), get(path)); err != nil {
				t.Error(err)
			}
		}
		do("first")
		s.revoke()
		var wg sync.WaitGroup
		wg.Go(func() { do("refused") })
		<-time.After(50 * time.Millisecond) // its token is being dropped
		wg.Go(func() { do("meanwhile") })
		wg.Wait()
		if n := p.count("/token"); n != 2 || s.denied != 1 {
			t.Errorf("%d token calls, %d calls denied", n, s.denied)
		}
	})
}

// Some token endpoints give the same token until it ends. One that comes fresh from the provider is believed once more.
func TestATokenThatTheProviderGivesAgainIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o, stop := tokened(t, newIssuer(time.Hour), fetchtest.NewCallStore())
		defer stop()
		p.handler = answers(
			answer(200, `{"access_token":"same","expires_in":3600}`), answer(401, ""),
			answer(200, `{"access_token":"same","expires_in":3600}`), answer(200, "{}"))
		if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
			t.Error(err)
		}
		if n := p.count("/token"); n != 2 {
			t.Errorf("%d token calls", n)
		}
	})
}

var _ fetch.TokenStore = (*slowStore)(nil)
