package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"syncer/config"
	"syncer/persist/pg"
	"syncer/persist/schema"
)

// readySchema brings the database to the schema of this program where that is meant, and makes sure that it can be worked
// with. An embedded database that has no schema yet was just made, by this command or by one that ended early.
func (inst *Installation) readySchema(ctx context.Context) error {
	state, err := schema.Look(ctx, inst.Pool)
	if err != nil {
		return err
	}
	if err := inst.refuseReader(ctx, state); err != nil {
		return err
	}
	justMade := state.Have == 0 && inst.Config.Database.URL.IsZero()
	meant := inst.opt.Migrate && inst.Config.Database.Migrate != config.MigrateOff
	if justMade || meant {
		if err := inst.refuseSecond(ctx, state); err != nil {
			return err
		}
		if err := schema.Migrate(ctx, inst.Pool, inst.opt.Log); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		return nil
	}
	if err := state.Check(); err != nil {
		return err
	}
	if state.Newer() {
		inst.opt.Log.Warn().Int64("version", state.Have).Int64("this_binary", state.Want).
			Msg("the database schema is newer than this binary, which works with it")
	}
	return nil
}

// refuseSecond refuses to make an installation beside another one in the same database: a schema that is mistyped looks like
// one that is new, and would be an empty one, in which nobody has a consent. `syncer db migrate` makes it.
func (inst *Installation) refuseSecond(ctx context.Context, state schema.State) error {
	if state.Have > 0 {
		return nil
	}
	others, err := pg.Installations(ctx, inst.Pool)
	if err != nil {
		return err
	}
	ours := pg.SchemaOf(inst.Pool) // which another process may have made just now
	others = slices.DeleteFunc(others, func(name string) bool { return name == ours })
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("the schema %s has no installation of syncer yet, and the database has one in %s: correct database.schema, or "+
		"make another installation with `syncer db migrate`", ours, strings.Join(others, " and "))
}

// refuseReader refuses a role that may only read to a command that writes, before the database does it in its own words.
func (inst *Installation) refuseReader(ctx context.Context, state schema.State) error {
	if inst.opt.Look || state.Have == 0 {
		return nil
	}
	var role, home string
	var may bool
	err := inst.Pool.QueryRow(ctx, `SELECT quote_ident(current_user), quote_ident(current_schema()),
		has_table_privilege('calls', 'INSERT') OR has_table_privilege('consents', 'INSERT')`).Scan(&role, &home, &may)
	if err != nil {
		return fmt.Errorf("ask the database what the role may do: %w", err)
	}
	if !may {
		return fmt.Errorf("the role %s may only read this database, and the command writes in it: give database.url a role that may, or "+
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %[1]s", role, home)
	}
	return nil
}

// CanWrite says whether the database takes writes from the configured role.
func (inst *Installation) CanWrite(ctx context.Context) (can bool, err error) {
	err = inst.Pool.QueryRow(ctx, `SELECT has_table_privilege('calls', 'INSERT')
		AND NOT current_setting('transaction_read_only')::bool`).Scan(&can)
	if err != nil {
		return false, fmt.Errorf("ask the database whether it can be written: %w", err)
	}
	return can, nil
}

// Writes says that the installation is not only looked at any more, see Options.Look.
func (inst *Installation) Writes() { inst.opt.Look = false }
