package app

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"syncer/fetch"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/report"
)

// Authorization is what becomes of a consent that a person is asked for.
type Authorization struct {
	Connection     string
	Purpose        string
	KeepNationalID bool  // sealed, although the provider's calls don't carry it
	Renews         int64 // the consent that goes on by the one that is given; 0: none
}

// KeepGiven makes a kept consent of a callback. Once the provider has the code, it goes on although its caller has left:
// what was granted would be lost. act is written down with it.
func (inst *Installation) KeepGiven(ctx context.Context, flow *fetch.CodeFlow, callback url.Values, s Authorization,
	act persist.Act) (report.GivenConsent, error) {
	got, err := flow.Finish(ctx, callback)
	if err != nil {
		return report.GivenConsent{}, err
	}
	provider, err := inst.Provider(s.Connection)
	if err != nil {
		return report.GivenConsent{}, err
	}
	number := NormalNationalID(got.NationalID.Reveal())
	if number != "" {
		if err := CheckNationalID(number); err != nil {
			return report.GivenConsent{}, fmt.Errorf("the provider's word on who has logged in: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	given := consents.Given{
		Import: consents.Import{
			ExternalID: got.ExternalID, NationalID: number, KeepPlain: number != "" && (s.KeepNationalID || provider.SubjectInCalls),
			Purpose: s.Purpose, Scopes: got.Scopes, ValidUntil: got.ValidUntil, SingleUse: got.SingleUse, ReadsPerDay: got.ReadsPerDay,
		},
		Refresh: got.Refresh, Holder: got.Holder, Renews: s.Renews,
	}
	var kept consents.GiveResult
	err = inst.Store.Acting(ctx, act, func(store *persist.Store, act *persist.Act) (err error) {
		kept, err = store.Consents.Give(ctx, s.Connection, given)
		act.Object = strconv.FormatInt(kept.ID, 10)
		act.Details = map[string]any{"connection": s.Connection, "was": kept.Was}
		return err
	})
	if err != nil {
		return report.GivenConsent{}, err
	}
	return report.GivenOf(s.Connection, kept, *got), nil
}
