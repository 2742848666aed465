package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/streams"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) quarantineShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show what is known of a record in quarantine",
		Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Shows why the record with that id could not be read or stored, whose it is, in which answer it stands\n" +
			"and what can be done. The record itself is not shown: it lies, sealed, in the answer of its call.",
		Example: "  syncer quarantine show 17\n  syncer quarantine show 17 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := quarantineID(args[0])
			if err != nil {
				return err
			}
			return p.look(cmd.Context(), func(inst *app.Installation) error {
				return p.showQuarantined(cmd.Context(), inst, id)
			})
		},
	}
}

func (p *Program) quarantineRetryCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "retry ID", Short: "Read a record in quarantine again, as when a description was corrected",
		Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Reads the stream of the record with that id again, by a rerun of the newest run that reads it, and says\n" +
			"what has become of the record. The rerun takes what that run misses of the consent, and nothing else.\n\n" +
			"Where the position of the stream has passed the record, it is forgotten first, and the stream is read from\n" +
			"its beginning, as far back as its job's history goes. That costs calls, so it wants --yes; without it the\n" +
			"command only says so.\n\n" +
			"Exit codes are those of rerun.",
		Example: "  syncer quarantine retry 17\n  syncer quarantine retry 17 --yes --reason 'the description is corrected'",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := quarantineID(args[0])
			if err != nil {
				return err
			}
			return p.retryQuarantined(cmd.Context(), id, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "read the stream from its beginning where its position has passed the record")
	return p.accountable(c, "")
}

// quarantineID reads the id of a record in quarantine.
func quarantineID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is no record in quarantine: `syncer quarantine list` shows their ids", text)
	}
	return id, nil
}

func notInQuarantine(id int64) error {
	return fmt.Errorf("there is no record %d in quarantine: `syncer quarantine list` shows their ids", id)
}

// findQuarantined finds a record, or says where to look.
func findQuarantined(ctx context.Context, inst *app.Installation, id int64) (read.QuarantinedRecord, error) {
	r, err := inst.Store.Read.QuarantinedRecord(ctx, id)
	if errors.Is(err, pg.ErrNotFound) {
		return r, notInQuarantine(id)
	}
	return r, err
}

func (p *Program) showQuarantined(ctx context.Context, inst *app.Installation, id int64) error {
	r, err := findQuarantined(ctx, inst, id)
	if err != nil {
		return err
	}
	shown := report.QuarantinedOf(r)
	if p.json {
		return p.document(shown)
	}
	shown.Write(p.out)
	return nil
}

// retryQuarantined has the stream of a record read again, and tells what has become of the record.
func (p *Program) retryQuarantined(ctx context.Context, id int64, yes bool) error {
	var run queue.Run
	var r read.QuarantinedRecord
	err := p.change(ctx, func(inst *app.Installation) (err error) {
		r, run, err = p.retryable(ctx, inst, id)
		readsAll := r.Held || r.Dataset != finance.Transactions // each pass reads all accounts, and all debt
		if err != nil || readsAll {
			return err
		}
		return p.rewind(ctx, inst, r, yes)
	})
	if err != nil {
		return err
	}
	ended := p.rerun(ctx, run.ID, plan.Selection{Consents: []int64{r.Consent}}, false, true)
	if _, settled := errors.AsType[exitCode](ended); ended != nil && !settled {
		return ended
	}
	told := p.look(ctx, func(inst *app.Installation) error { return p.tellRetried(ctx, inst, id) })
	return errors.Join(told, ended)
}

// retryable is an open record, with the run whose rerun reads its stream again.
func (p *Program) retryable(ctx context.Context, inst *app.Installation, id int64) (r read.QuarantinedRecord, run queue.Run, err error) {
	if r, err = findQuarantined(ctx, inst, id); err != nil {
		return r, run, err
	}
	if r.ResolvedAs != "" {
		return r, run, fmt.Errorf("record %d is resolved already: it is %s", id, r.ResolvedAs)
	}
	run, err = inst.Store.Read.RunToRetry(ctx, id)
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return r, run, fmt.Errorf("retry record %d: no run of a job is known that reads its stream: `syncer run JOB` reads it", id)
	case err != nil:
		return r, run, err
	case run.Verdict == "":
		return r, run, fmt.Errorf("retry record %d: run %d, which reads its stream, is not settled yet: %s goes on with it", id,
			run.ID, report.GoesOn(run))
	}
	return r, run, nil
}

// rewind forgets where the stream of a record stands that its position has passed.
func (p *Program) rewind(ctx context.Context, inst *app.Installation, r read.QuarantinedRecord, yes bool) error {
	f := streams.Filter{Connection: r.Connection, Consent: r.Consent, Dataset: r.Dataset, Account: r.Account}
	if yes {
		return p.resetStreams(ctx, inst, f, true)
	}
	cost, err := inst.Store.Streams.ResetCost(ctx, f)
	if err != nil {
		return err
	}
	if cost.Streams == 0 { // there is no position that could have passed it
		return nil
	}
	if err := p.tellReset("plan", cost); err != nil {
		return err
	}
	return usagef("nothing has been done: the stream has been read beyond record %d. "+
		"Say --yes if it is to be read from its beginning", r.ID)
}

// tellRetried says what has become of a record.
func (p *Program) tellRetried(ctx context.Context, inst *app.Installation, id int64) error {
	r, err := findQuarantined(ctx, inst, id)
	if err != nil {
		return err
	}
	shown := report.QuarantinedOf(r)
	switch {
	case p.json:
		return p.line(shown)
	case r.ResolvedAs == "":
		p.say("%s", text.Paragraph(p.out, "", fmt.Sprintf("Record %d is still in quarantine: %s", id, r.Reason)))
	default:
		p.say("Record %d is resolved: %s.", id, shown.State())
	}
	return nil
}
