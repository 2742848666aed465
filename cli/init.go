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

// ignoreName keeps what init writes, and what is to be put beside it, out of a repository.
const ignoreName = ".gitignore"

// ignored are the lines of it.
const ignored = `# Written by syncer init: what opens the database's seals, secrets, and the state of this machine belong into no repository.
*.keys
/secrets/
/state/
/.syncer/
`

// descriptionName is the description that the sample's connection of provider rest names, and example the described API
// that it begins as.
const descriptionName, example = "my-bank.yaml", "fjordbank.yaml"

// keysName is the key file that the sample config names.
const keysName = "syncer.keys"

func (p *Program) initCommand() *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a commented config file and a key file",
		Long: "Writes " + config.DefaultPath + " and " + keysName + " into DIR (default: here). Neither is ever overwritten. The key file opens\n" +
			"what is sealed in the database: keep a copy of it, apart from the database's backups. A " + ignoreName + " that keeps\n" +
			"it out of a repository is written too, where there is none, and for provider rest a description to begin with.",
		Example: "  syncer init\n  syncer init /etc/syncer --provider norskgjeld",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if dir == "" {
				return usagef("DIR is empty: name a folder, or leave it out for this one")
			}
			for _, name := range only {
				if !slices.Contains(p.providerNames(), name) {
					return usagef("--provider %q: there are %s", name, text.List(p.providerNames()))
				}
			}
			return p.init(dir, only)
		},
	}
	c.Flags().StringSliceVar(&only, "provider", nil, "the example of this provider (may be repeated; default: norskgjeld and sbanken)")
	return c
}

func (p *Program) init(dir string, only []string) error {
	settings := filepath.Join(dir, config.DefaultPath)
	keys := filepath.Join(dir, keysName)
	description := filepath.Join(dir, descriptionName)
	described := slices.Contains(only, "rest")
	written := []string{settings, keys}
	if described {
		written = append(written, description)
	}
	for _, path := range written {
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
	did := map[string]string{"config": settings, "keys": keys}
	if described {
		if err := p.writeDescription(description); err != nil {
			return err
		}
		did["description"] = description
	}
	if did["gitignore"], err = ignoreSecrets(dir); err != nil {
		return err
	}
	if p.json {
		return p.document(did)
	}
	p.say("Wrote %s.\nKeep a copy of the keys in a safe place.", text.List(written))
	if did["gitignore"] == "" {
		p.say("%s was there and was left as it is: *.keys, secrets/ and state/ belong into it.", filepath.Join(dir, ignoreName))
	}
	p.say("\nNext:\n  edit %s\n  export %s=%s", settings, config.EnvPath, settings)
	p.say("  syncer check\n  syncer consents import FILE.csv --connection NAME")
	return nil
}

// writeDescription writes the description of an invented API, to be made one's own.
func (p *Program) writeDescription(path string) error {
	content, err := fs.ReadFile(p.setup.Examples, example)
	if err != nil {
		return fmt.Errorf("read the example of a description: %w", err)
	}
	return writeNew(path, content, 0o644)
}

// ignoreSecrets writes a .gitignore, and gives its path; empty: there is one, which is left as it is.
func ignoreSecrets(dir string) (string, error) {
	path := filepath.Join(dir, ignoreName)
	if _, err := os.Lstat(path); err == nil {
		return "", nil
	}
	return path, writeNew(path, []byte(ignored), 0o644)
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
