package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/persist/seal"
	"syncer/report/text"
)

// keysName is the key file that the sample config names.
const keysName = "syncer.keys"

func (p *Program) initCommand() *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a commented config file and a key file",
		Long: "Writes " + config.DefaultPath + " and " + keysName + " into DIR (default: here). Neither is ever overwritten. The key file opens\n" +
			"what is sealed in the database: keep a copy of it, apart from the database's backups.",
		Example: "  syncer init\n  syncer init /etc/syncer --provider norskgjeld",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			for _, name := range only {
				if !slices.Contains(p.providerNames(), name) {
					return usagef("--provider %q: there are %s", name, text.List(p.providerNames()))
				}
			}
			return p.init(dir, only)
		},
	}
	c.Flags().StringSliceVar(&only, "provider", nil, "only the examples of this provider (may be repeated)")
	return c
}

func (p *Program) init(dir string, only []string) error {
	settings := filepath.Join(dir, config.DefaultPath)
	keys := filepath.Join(dir, keysName)
	for _, path := range []string{settings, keys} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists and is not overwritten: choose another folder, or move it away", path)
		}
	}
	content, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the config: %w", err)
	}
	if err := writeNew(keys, content, 0o600); err != nil {
		return err
	}
	if err := writeNew(settings, config.Sample(only...), 0o644); err != nil {
		return errors.Join(err, os.Remove(keys)) // nothing is sealed with it yet
	}
	if p.json {
		return p.document(map[string]string{"config": settings, "keys": keys})
	}
	p.say("Wrote %s and %s.\nKeep a copy of the keys in a safe place.", settings, keys)
	p.say("\nNext:\n  edit %s\n  export %s=%s", settings, config.EnvPath, settings)
	p.say("  syncer check\n  syncer consents import FILE.csv --connection NAME")
	return nil
}

// writeNew writes a file that must not be there yet, whoever else is writing at the same time.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}
