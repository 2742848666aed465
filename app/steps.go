package app

import (
	"context"
	"time"

	"syncer/calls"
	"syncer/fetch"
)

// sendStore is what the stack asks before a send and tells after it, and where it keeps its tokens.
type sendStore struct {
	fetch.CallStore
	fetch.OnceStore
	fetch.TokenStore
}

// callStore is the store, and for a test that kills the process there, one with named points around a send.
func (inst *Installation) callStore() sendStore {
	plain := sendStore{inst.Store.Admit, inst.Store.Admit, inst.Store.Tokens}
	if inst.opt.Step == nil {
		return plain
	}
	s := stepped{plain, inst.opt.Step}
	return sendStore{s, s, s}
}

// stepped calls step before and after what is durable around a send. In their order they are intent.begun, intent.written,
// call.admitted, the send itself, answer.arrived, when the answer is here and stored nowhere, and answer.stored. Those of a token
// request are token.locked, when it is about to be made, and token.asked, when the new token is here and stored nowhere.
type stepped struct {
	sendStore
	step func(string)
}

// Intend passes on.
func (s stepped) Intend(ctx context.Context, call calls.Call) (calls.Intent, error) {
	s.step("intent.begun")
	intent, err := s.sendStore.Intend(ctx, call)
	s.step("intent.written")
	return intent, err
}

// Admit passes on.
func (s stepped) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	admission, err := s.sendStore.Admit(ctx, ask)
	s.step("call.admitted")
	return admission, err
}

// Answered passes on.
func (s stepped) Answered(ctx context.Context, call calls.Call, body []byte) error {
	s.step("answer.arrived")
	err := s.sendStore.Answered(ctx, call, body)
	s.step("answer.stored")
	return err
}

// LockToken passes on.
func (s stepped) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	got, err := s.sendStore.LockToken(ctx, key, d)
	if got {
		s.step("token.locked")
	}
	return got, err
}

// SaveToken passes on.
func (s stepped) SaveToken(ctx context.Context, key string, t calls.Token) error {
	s.step("token.asked")
	return s.sendStore.SaveToken(ctx, key, t)
}
