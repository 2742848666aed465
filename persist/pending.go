package persist

import (
	"context"
	"errors"
	"time"

	"syncer/finance"
)

var errPending = errors.New("not built yet")

// ledger
func (s *Store) admit(ctx context.Context, asks []finance.Ask) ([]finance.Admission, error) {
	return nil, errPending
}
func (s *Store) gateTimes(ctx context.Context, buckets []string) ([]time.Duration, error) {
	return nil, errPending
}
func (s *Store) Admit(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	return s.asks.ask(ctx, ask)
}
func (s *Store) Gate(ctx context.Context, bucket string) (time.Duration, error) {
	return s.gates.ask(ctx, bucket)
}
func (s *Store) Pause(ctx context.Context, p finance.Pause) error { return errPending }

// inbox
func (s *Store) Intend(ctx context.Context, call finance.Call) (finance.Intent, error) {
	return finance.Intent{}, errPending
}
func (s *Store) Answered(ctx context.Context, call finance.Call, body []byte) error {
	return errPending
}
func (s *Store) Withdraw(ctx context.Context, call finance.Call) error { return errPending }
func (s *Store) SettleInbox(ctx context.Context, consent int64) error  { return errPending }
func (s *Store) UnansweredConsent(ctx context.Context, consent int64, call finance.CallID) error {
	return errPending
}

// tokens
func (s *Store) LoadToken(ctx context.Context, key string) (finance.Token, bool, error) {
	return finance.Token{}, false, errPending
}
func (s *Store) LockToken(ctx context.Context, key string, d time.Duration) (bool, error) {
	return false, errPending
}
func (s *Store) SaveToken(ctx context.Context, key string, t finance.Token) error { return errPending }
func (s *Store) DropToken(ctx context.Context, key, accessToken string) error     { return errPending }
func (s *Store) UnlockToken(ctx context.Context, key string) error                { return errPending }

// workers and batches
func (s *Store) Heartbeat(ctx context.Context, lease time.Duration) error { return errPending }
func (s *Store) Leave(ctx context.Context) error                          { return errPending }
func (s *Store) Due(ctx context.Context, jobs []string, limit int) ([]DueBatch, error) {
	return nil, errPending
}
func (s *Store) Claim(ctx context.Context, batch int64) (Claimed, bool, error) {
	return Claimed{}, false, errPending
}
func (s *Store) Release(ctx context.Context, batch, fence int64) error { return errPending }
func (s *Store) Park(ctx context.Context, batch, fence int64, d time.Duration, reason string) error {
	return errPending
}
func (s *Store) Finish(ctx context.Context, batch, fence int64) error   { return errPending }
func (s *Store) Items(ctx context.Context, batch int64) ([]Item, error) { return nil, errPending }
func (s *Store) StartItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset) error {
	return errPending
}
func (s *Store) DecideItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset, d Decision) error {
	return errPending
}
func (s *Store) DecideItems(ctx context.Context, batch, fence int64, decided []Decided) error {
	return errPending
}

// schedules
func (s *Store) Considered(ctx context.Context, job string) (time.Time, bool, error) {
	return time.Time{}, false, errPending
}
func (s *Store) AdvanceSchedule(ctx context.Context, job string, to time.Time) error {
	return errPending
}

// runs
func (s *Store) PlanRun(ctx context.Context, spec RunSpec, enqueue Enqueue) (Run, bool, error) {
	return Run{}, false, errPending
}
func (s *Store) PlanRerun(ctx context.Context, spec RerunSpec, enqueue Enqueue) (Run, bool, error) {
	return Run{}, false, errPending
}
func (s *Store) RerunCost(ctx context.Context, run int64, sel Selection) (Cost, error) {
	return Cost{}, errPending
}
func (s *Store) UnfinishedRun(ctx context.Context, job string) (Run, bool, error) {
	return Run{}, false, errPending
}
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]Run, error) { return nil, errPending }
func (s *Store) RunByID(ctx context.Context, id int64) (Run, error)   { return Run{}, errPending }
func (s *Store) Settle(ctx context.Context, run int64) (Verdict, bool, error) {
	return "", false, errPending
}
func (s *Store) Unsettled(ctx context.Context) ([]int64, error) { return nil, errPending }
func (s *Store) RunReport(ctx context.Context, run int64) (Report, error) {
	return Report{}, errPending
}

// connections and consents
func (s *Store) UpsertConnection(ctx context.Context, name, provider string) error { return errPending }
func (s *Store) ParkConnection(ctx context.Context, name string, class finance.Class, reason string) (bool, error) {
	return false, errPending
}
func (s *Store) OpenConnection(ctx context.Context, name string) error { return errPending }
func (s *Store) Connections(ctx context.Context) ([]Connection, error) { return nil, errPending }
func (s *Store) ConnectionByName(ctx context.Context, name string) (Connection, error) {
	return Connection{}, errPending
}
func (s *Store) ImportConsents(ctx context.Context, connection string, list []ConsentImport) (ImportResult, error) {
	return ImportResult{}, errPending
}
func (s *Store) Consent(ctx context.Context, id int64) (finance.Consent, error) {
	return finance.Consent{}, errPending
}
func (s *Store) ConsentByExternal(ctx context.Context, connection, externalID string) (finance.Consent, error) {
	return finance.Consent{}, errPending
}
func (s *Store) Consents(ctx context.Context, f ConsentFilter) ([]finance.Consent, error) {
	return nil, errPending
}
func (s *Store) EndConsent(ctx context.Context, id int64, status finance.ConsentStatus, reason string, source EventSource, call finance.CallID) (bool, error) {
	return false, errPending
}
func (s *Store) ApplyConsentEvents(ctx context.Context, connection, position string, events []ConsentEvent) (int, error) {
	return 0, errPending
}
func (s *Store) ExpireConsents(ctx context.Context) (int, error) { return 0, errPending }
func (s *Store) ConsentHistory(ctx context.Context, id int64) ([]ConsentChange, error) {
	return nil, errPending
}
func (s *Store) CountRecentRefusals(ctx context.Context, connection string, window time.Duration) (refused, active int, err error) {
	return 0, 0, errPending
}
func (s *Store) Verify(ctx context.Context) ([]Violation, error) { return nil, errPending }
