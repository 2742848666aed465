package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/seal"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) keysRotateCommand() *cobra.Command {
	var r rotation
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Seal everything with a new key, while everything runs on",
		Long: "Adds a key to the key file, which seals from now on, and seals anew what the old key has sealed, in small\n" +
			"steps. Broken off, it goes on where it was when it is called again. Running processes take the new file by\n" +
			"themselves. With --retire the old key is dropped once nothing is left that it has sealed.\n\n" +
			"Where other machines have copies of the key file: rotate --prepare, copy the file to them, rotate, copy it\n" +
			"again. Keep the old backup of the key file for as long as you keep backups of the database from before.",
		Example: "  syncer keys rotate\n  syncer keys rotate --retire",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Prepare && r.Retire {
				return usagef("--prepare begins a rotation and --retire ends it: give one of them")
			}
			return p.rotateKeysAs(cmd.Context(), r)
		},
	}
	c.Flags().BoolVar(&r.Prepare, "prepare", false, "only add a key that opens and does not seal yet")
	c.Flags().BoolVar(&r.Retire, "retire", false, "drop the old key when nothing is left that it has sealed")
	return p.accountable(c, "")
}

// rotation is what is wanted of a change of keys.
type rotation struct{ Prepare, Retire bool }

// retireAfter is how long a key must have been old before it is dropped: every running process has taken the new one by
// then, and what it was just sealing with the old one is committed.
const retireAfter = 6 * seal.FollowEvery

// rotateKeysAs rotates keys and writes down who did it. The database is asked first, so that no key is
// made of which nobody could tell whose it is.
func (p *Program) rotateKeysAs(ctx context.Context, r rotation) error {
	return p.migrateAndChange(ctx, func(inst *app.Installation) error {
		return inst.Store.ActingInSteps(ctx, p.act("keys", ""), func(act *persist.Act) error {
			act.Details = map[string]any{"prepare": r.Prepare, "retire": r.Retire}
			before, err := app.ReadKeyFile(inst.Config.Keys.File)
			if err != nil {
				return err
			}
			rotated := p.rotateKeys(ctx, r)
			after, err := app.ReadKeyFile(inst.Config.Keys.File)
			act.Object = report.KeyName(after.Primary)
			act.Vain = err == nil && reflect.DeepEqual(before, after) && len(before.Old) == 0
			return rotated
		})
	})
}

func (p *Program) rotateKeys(ctx context.Context, r rotation) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	info, err := app.ReadKeyFile(cfg.Keys.File)
	if err != nil {
		return err
	}
	switch {
	case r.Prepare && info.Prepared != 0:
		return p.told(map[string]any{"prepared": report.KeyName(info.Prepared)}, "Key %s is prepared already.", report.KeyName(info.Prepared))
	case r.Prepare:
		if info, err = app.ChangeKeyFile(cfg.Keys.File, info, seal.Prepare); err != nil {
			return err
		}
		return p.told(map[string]any{"prepared": report.KeyName(info.Prepared)},
			"Key %s opens and does not seal yet. Copy %s to the other machines, then: syncer keys rotate", report.KeyName(info.Prepared), cfg.Keys.File)
	case r.Retire && len(info.Old) == 0:
		return p.told(map[string]any{"retired": []string{}}, "There is no old key: key %s seals and opens everything.", report.KeyName(info.Primary))
	case r.Retire:
	case len(info.Old) > 0:
		p.did("Going on with the rotation to key %s of %s; --retire ends it.", report.KeyName(info.Primary), text.Clock(info.Rotated))
	default:
		if info, err = app.ChangeKeyFile(cfg.Keys.File, info, seal.Rotate); err != nil {
			return err
		}
		p.did("Key %s seals from now on. Keep a copy of %s in a safe place.", report.KeyName(info.Primary), cfg.Keys.File)
	}
	return p.migrateAndChange(ctx, func(inst *app.Installation) error {
		sealed, err := p.sealAnew(ctx, inst, info)
		if err != nil {
			return err
		}
		if r.Retire {
			return p.retireKeys(inst, info)
		}
		return notEnded(info, sealed)
	})
}

// forgottenAfter is when a rotation that was not ended is more likely forgotten than under way.
const forgottenAfter = 24 * time.Hour

// notEnded is the error of somebody who wants a new key and gets none, because an earlier rotation was never ended. One
// that still had something to seal was only gone on with.
func notEnded(info seal.KeyFile, sealed int) error {
	if sealed > 0 || len(info.Old) == 0 || time.Since(info.Rotated) < forgottenAfter {
		return nil
	}
	return fmt.Errorf("no new key was made: the rotation to key %s of %s was never ended; "+
		"end it by `syncer keys rotate --retire`, then rotate again", report.KeyName(info.Primary), text.Clock(info.Rotated))
}

// sealAnewPasses is how often the tables are gone through: a row that somebody had locked is had at the next pass.
const sealAnewPasses = 3

// sealAnew seals what old keys still hold, and counts it. It fails when something is left after all, and says what.
func (p *Program) sealAnew(ctx context.Context, inst *app.Installation, info seal.KeyFile) (sealed int, err error) {
	total := map[string]int{}
	left := 0
	var stuck []seal.Resealed
	for range sealAnewPasses {
		var err error
		if stuck, err = p.sealRound(ctx, inst, info.Primary, total); err != nil {
			return 0, fmt.Errorf("%w; call it again to go on", err)
		}
		if left, err = inst.SealedByOthers(ctx, info.Primary); err != nil {
			return 0, err
		}
		if left == 0 {
			break
		}
	}
	for _, n := range total {
		sealed += n
	}
	if err := p.tellSealed(info, total, left); err != nil || left == 0 {
		return sealed, err
	}
	lost := 0
	for _, s := range stuck {
		lost += s.Stuck
		fmt.Fprintf(p.err, "syncer: %s of %s can't be opened with any key of the key file, such as %s\n", text.Count(s.Stuck, "value"), s.Table, s.Sample)
	}
	if lost == left {
		return sealed, errors.New("what is left can't be opened: a key is missing that an older copy of the key file may have, " +
			"or the values were changed")
	}
	return sealed, fmt.Errorf("%s left with an old key, which must stay: call it again to go on", text.Count(left, "value"))
}

// sealRound goes through the tables once. It adds to total, and gives what can't be opened.
func (p *Program) sealRound(ctx context.Context, inst *app.Installation, key uint32, total map[string]int) (stuck []seal.Resealed, err error) {
	done := map[string]seal.Resealed{}
	err = inst.Store.Seal.Reseal(ctx, key, func(r seal.Resealed) {
		done[r.Table] = r
		if r.Done > 0 {
			p.live.show(fmt.Sprintf("%s: %s sealed anew", r.Table, text.Thousands(total[r.Table]+r.Done)))
		}
	})
	p.live.clear()
	for _, table := range slices.Sorted(maps.Keys(done)) {
		total[table] += done[table].Done
		if done[table].Stuck > 0 {
			stuck = append(stuck, done[table])
		}
	}
	return stuck, err
}

func (p *Program) tellSealed(info seal.KeyFile, total map[string]int, left int) error {
	if p.json {
		return p.line(map[string]any{"key": report.KeyName(info.Primary), "sealed_anew": total, "left": left})
	}
	sum := 0
	for _, n := range total {
		sum += n
	}
	p.say("%s sealed anew with key %s, %s left.", text.Count(sum, "value"), report.KeyName(info.Primary), text.Thousands(left))
	return nil
}

// retireKeys drops the old keys, of which nothing is left.
func (p *Program) retireKeys(inst *app.Installation, info seal.KeyFile) error {
	if since := time.Since(info.Rotated); since < retireAfter {
		return fmt.Errorf("the old key is not dropped yet, because a running process may still seal with it: call it again in %s",
			text.Took(retireAfter-since))
	}
	after, err := app.ChangeKeyFile(inst.Config.Keys.File, info, seal.Retire)
	if err != nil {
		return err
	}
	names := []string{}
	for _, id := range info.Old {
		names = append(names, report.KeyName(id))
	}
	if p.json {
		return p.line(map[string]any{"key": report.KeyName(after.Primary), "retired": names})
	}
	p.say("Dropped: %s. Key %s seals and opens everything.", text.List(names), report.KeyName(after.Primary))
	return nil
}
