package main

import (
	"context"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// sendLedger is what the stack asks before a send and tells after it, and where it keeps its tokens.
type sendLedger interface {
	fetch.Ledger
	fetch.OnceLedger
	fetch.TokenStore
}

// ledger is the store, and for a test that kills the process there, one with named points around a send.
func (h *house) ledger() sendLedger {
	if h.opt.Step == nil {
		return h.Store
	}
	return stepped{h.Store, h.opt.Step}
}

// stepped calls step before and after what is durable around a send. In their order they are s1.intend, s2.intended,
// s3.admitted, the send itself, s5.answer, when the answer is here and stored nowhere, and s6.stored. Those of a token
// request are t1.locked, when it is about to be made, and t2.asked, when the new token is here and stored nowhere.
type stepped struct {
	*persist.Store
	step func(string)
}

// Intend passes on.
func (s stepped) Intend(ctx context.Context, call finance.Call) (finance.Intent, error) {
	s.step("s1.intend")
	intent, err := s.Store.Intend(ctx, call)
	s.step("s2.intended")
	return intent, err
}

// Admit passes on.
func (s stepped) Admit(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	admission, err := s.Store.Admit(ctx, ask)
	s.step("s3.admitted")
	return admission, err
}

// Answered passes on.
func (s stepped) Answered(ctx context.Context, call finance.Call, body []byte) error {
	s.step("s5.answer")
	err := s.Store.Answered(ctx, call, body)
	s.step("s6.stored")
	return err
}

// LockToken passes on.
func (s stepped) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	got, err := s.Store.LockToken(ctx, key, d)
	if got {
		s.step("t1.locked")
	}
	return got, err
}

// SaveToken passes on.
func (s stepped) SaveToken(ctx context.Context, key string, t finance.Token) error {
	s.step("t2.asked")
	return s.Store.SaveToken(ctx, key, t)
}
