package cli

import (
	"context"
	"fmt"

	"syncer/app"
	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
	"syncer/report/text"
)

// tellHistory adds to a report of the job's own run what of its history was never asked for. A job that the config no
// longer has says nothing, and no report fails for this.
func (p *Program) tellHistory(ctx context.Context, inst *app.Installation, r read.Report, j *report.Report) {
	_, known := inst.Config.Jobs[r.Run.Job]
	if !known || r.Run.Kind == queue.Backfill || r.Run.Kind == queue.Rerun {
		return
	}
	gap, err := inst.HistoryGap(ctx, r.Run.Job)
	if err != nil {
		p.hint("Whether the job's history was raised since the first load is not known: %s", text.Printable(err.Error()))
		return
	}
	if gap.Streams == 0 {
		return
	}
	if j != nil {
		command := fmt.Sprintf("syncer backfill %s --from %s --to %s", r.Run.Job, gap.From, gap.To)
		j.History = &report.HistoryGap{
			Streams: gap.Streams, From: gap.From.String(), To: gap.To.String(), Command: command, Calls: gap.Calls(),
		}
		return
	}
	said := text.Paragraph(p.out, "  ", jobs.HistoryAdvice(r.Run.Job, gap))
	p.say("\n%s", painter(p.out, p.env).Warn(said))
}
