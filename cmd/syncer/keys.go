package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) keysCommand() *cobra.Command {
	return group("keys", "Show and rotate the key that seals what is secret in the database", a.keysListCommand(), a.keysRotateCommand())
}

func (a *app) keysListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sealing keys and what each has sealed", Args: usageArgs(cobra.NoArgs),
		Long:    "Lists the keys of the key file by their ids, and how many values in the database each has sealed. It reads\nthe key id of every kept answer, which takes its time in a large database.",
		Example: "  syncer keys list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd.Context(), func(h *house) error {
				info, err := readKeyInfo(h.Config.Keys.File)
				if err != nil {
					return err
				}
				counts, err := h.Store.CountSealed(cmd.Context())
				if err != nil {
					return err
				}
				return a.listKeys(info, counts)
			})
		},
	}
}

type keyJSON struct {
	Key    string         `json:"key"`
	State  string         `json:"state"` // seals, opens, prepared, or missing: it is not in the key file
	Since  *time.Time     `json:"since,omitempty"`
	Sealed map[string]int `json:"sealed"` // values by table
}

// listKeys shows every key of the file, and every key that a value names and the file has not.
func (a *app) listKeys(info persist.KeyFile, counts []persist.SealedCount) error {
	keys := []keyJSON{{Key: keyName(info.Primary), State: "seals", Since: instant(info.Rotated)}}
	if info.Prepared != 0 {
		keys = append(keys, keyJSON{Key: keyName(info.Prepared), State: "prepared"})
	}
	for _, id := range info.Old {
		keys = append(keys, keyJSON{Key: keyName(id), State: "opens"})
	}
	at := map[string]int{}
	for i := range keys {
		keys[i].Sealed, at[keys[i].Key] = map[string]int{}, i
	}
	for _, c := range counts {
		i, known := at[keyName(c.Key)]
		if !known {
			i = len(keys)
			at[keyName(c.Key)] = i
			keys = append(keys, keyJSON{Key: keyName(c.Key), State: "missing", Sealed: map[string]int{}})
		}
		keys[i].Sealed[c.Table] += c.Count
	}
	t := newTable("key", "state", "since", ">sealed", "~of")
	for _, k := range keys {
		if a.json {
			if err := a.line(k); err != nil {
				return err
			}
			continue
		}
		since, sum, of := "", 0, ""
		if k.Since != nil {
			since = clock(*k.Since)
		}
		for _, table := range sortedKeys(k.Sealed) {
			sum += k.Sealed[table]
			of += fmt.Sprintf("%s %s  ", thousands(k.Sealed[table]), table)
		}
		t.add(k.Key, k.State, since, thousands(sum), of)
	}
	t.write(a.out)
	return nil
}

// keyName is a key's id as tink's own tools and sealed_by in the schema write it.
func keyName(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

func (a *app) keysRotateCommand() *cobra.Command {
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
			return a.rotateKeys(cmd.Context(), r)
		},
	}
	c.Flags().BoolVar(&r.Prepare, "prepare", false, "only add a key that opens and does not seal yet")
	c.Flags().BoolVar(&r.Retire, "retire", false, "drop the old key when nothing is left that it has sealed")
	return c
}

// rotation is what is wanted of a change of keys.
type rotation struct{ Prepare, Retire bool }

// retireAfter is how long a key must have been old before it is dropped: every running process has taken the new one by
// then, and what it was just sealing with the old one is committed.
const retireAfter = 6 * persist.FollowEvery

func (a *app) rotateKeys(ctx context.Context, r rotation) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	info, err := readKeyInfo(cfg.Keys.File)
	if err != nil {
		return err
	}
	switch {
	case r.Prepare && info.Prepared != 0:
		return a.told(map[string]any{"prepared": keyName(info.Prepared)}, "Key %s is prepared already.", keyName(info.Prepared))
	case r.Prepare:
		if info, err = changeKeyFile(cfg.Keys.File, info, persist.Prepare); err != nil {
			return err
		}
		return a.told(map[string]any{"prepared": keyName(info.Prepared)},
			"Key %s opens and does not seal yet. Copy %s to the other machines, then: syncer keys rotate", keyName(info.Prepared), cfg.Keys.File)
	case r.Retire && len(info.Old) == 0:
		return a.told(map[string]any{"retired": []string{}}, "There is no old key: key %s seals and opens everything.", keyName(info.Primary))
	case r.Retire:
	case len(info.Old) > 0:
		a.hint("Going on with the rotation to key %s of %s; --retire ends it.", keyName(info.Primary), clock(info.Rotated))
	default:
		if info, err = changeKeyFile(cfg.Keys.File, info, persist.Rotate); err != nil {
			return err
		}
		a.hint("Key %s seals from now on. Keep a copy of %s in a safe place.", keyName(info.Primary), cfg.Keys.File)
	}
	return a.look(ctx, func(h *house) error {
		if err := a.sealAnew(ctx, h, info); err != nil || !r.Retire {
			return err
		}
		return a.retireKeys(h, info)
	})
}

// sealAnewPasses is how often the tables are gone through: a row that somebody had locked is had at the next pass.
const sealAnewPasses = 3

// sealAnew seals what old keys still hold. It fails when something is left after all, and says what.
func (a *app) sealAnew(ctx context.Context, h *house, info persist.KeyFile) error {
	total, left := map[string]int{}, 0
	var stuck []persist.Resealed
	for range sealAnewPasses {
		var err error
		if stuck, err = a.sealPass(ctx, h, info.Primary, total); err != nil {
			return fmt.Errorf("%w; call it again to go on", err)
		}
		if left, err = h.leftBy(ctx, info.Primary); err != nil {
			return err
		}
		if left == 0 {
			break
		}
	}
	if err := a.tellSealed(info, total, left); err != nil || left == 0 {
		return err
	}
	lost := 0
	for _, s := range stuck {
		lost += s.Stuck
		fmt.Fprintf(a.err, "syncer: %s of %s can't be opened with any key of the key file, such as %s\n", count(s.Stuck, "value"), s.Table, s.Sample)
	}
	if lost == left {
		return errors.New("what is left can't be opened: a key is missing that an older copy of the key file may have, or the values were changed")
	}
	return fmt.Errorf("%s left with an old key, which must stay: call it again to go on", count(left, "value"))
}

// sealPass goes through the tables once. It adds to total, and gives what can't be opened.
func (a *app) sealPass(ctx context.Context, h *house, key uint32, total map[string]int) (stuck []persist.Resealed, err error) {
	done := map[string]persist.Resealed{}
	err = h.Store.Reseal(ctx, key, func(r persist.Resealed) {
		done[r.Table] = r
		if r.Done > 0 {
			a.live.show(fmt.Sprintf("%s: %s sealed anew", r.Table, thousands(total[r.Table]+r.Done)))
		}
	})
	a.live.clear()
	for _, table := range sortedKeys(done) {
		total[table] += done[table].Done
		if done[table].Stuck > 0 {
			stuck = append(stuck, done[table])
		}
	}
	return stuck, err
}

// leftBy counts what other keys than this one have sealed.
func (h *house) leftBy(ctx context.Context, key uint32) (left int, err error) {
	counts, err := h.Store.CountSealed(ctx)
	for _, c := range counts {
		if c.Key != key {
			left += c.Count
		}
	}
	return left, err
}

func (a *app) tellSealed(info persist.KeyFile, total map[string]int, left int) error {
	if a.json {
		return a.line(map[string]any{"key": keyName(info.Primary), "sealed_anew": total, "left": left})
	}
	sum := 0
	for _, n := range total {
		sum += n
	}
	a.say("%s sealed anew with key %s, %s left.", count(sum, "value"), keyName(info.Primary), thousands(left))
	return nil
}

// retireKeys drops the old keys, of which nothing is left.
func (a *app) retireKeys(h *house, info persist.KeyFile) error {
	if since := time.Since(info.Rotated); since < retireAfter {
		return fmt.Errorf("the old key is not dropped yet, because a running process may still seal with it: call it again in %s",
			took(retireAfter-since))
	}
	after, err := changeKeyFile(h.Config.Keys.File, info, persist.Retire)
	if err != nil {
		return err
	}
	names := []string{}
	for _, id := range info.Old {
		names = append(names, keyName(id))
	}
	if a.json {
		return a.line(map[string]any{"key": keyName(after.Primary), "retired": names})
	}
	a.say("Dropped: %s. Key %s seals and opens everything.", listed(names), keyName(after.Primary))
	return nil
}
