package jobs

import (
	"context"
	"fmt"
	"strings"
)

// toldDrifts is how many members one line of the log names.
const toldDrifts = 5

// tellDrifts warns, in one line, of members that a settled run has missed. Its verdict stays: the rows
// are what the provider has said.
func (e *Engine) tellDrifts(ctx context.Context, run int64) {
	drifts, err := e.Store.Read.DriftsOf(ctx, run)
	if err != nil {
		e.Log.Warn().Err(err).Int64("run", run).Msg("whether members have drifted is not known")
		return
	}
	if len(drifts) == 0 {
		return
	}
	var told []string
	for _, d := range drifts[:min(len(drifts), toldDrifts)] {
		told = append(told, d.String())
	}
	if more := len(drifts) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	e.Log.Warn().Int64("run", run).Str("job", drifts[0].Job).Str("connection", drifts[0].Connection).
		Int("members", len(drifts)).
		Msg("drift: members that most records had are in no record of this run: " + strings.Join(told, "; "))
}
