package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/fetch/rest"
)

func (a *app) configCommand() *cobra.Command {
	return group("config", "Show the config, and schemas and examples for editing it",
		a.configSchemaCommand(),
		&cobra.Command{
			Use: "example [NAME]", Short: "Print a described API, for a connection of provider rest", Args: usageArgs(cobra.MaximumNArgs(1)),
			Long:    "Prints a whole description of an invented API, to begin one of your own with. Without a name it lists them.",
			Example: "  syncer config example\n  syncer config example fjordbank > mybank.yaml",
			RunE:    func(_ *cobra.Command, args []string) error { return a.showExample(args) },
		},
		&cobra.Command{
			Use: "show", Short: "Print the config with its defaults, the environment applied and no secret", Args: usageArgs(cobra.NoArgs),
			Example: "  syncer config show\n  SYNCER_WORKER_LEASE=1m syncer config show --json",
			RunE: func(*cobra.Command, []string) error {
				cfg, err := a.config()
				if err != nil {
					return err
				}
				return a.showConfig(cfg)
			},
		})
}

func (a *app) configSchemaCommand() *cobra.Command {
	var description bool
	c := &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the config file, or of a described API", Args: usageArgs(cobra.NoArgs),
		Example: "  syncer config schema > syncer.schema.json\n  syncer config schema --description > description.schema.json",
		RunE: func(*cobra.Command, []string) error {
			schema, err := configSchema()
			if description {
				schema, err = rest.Schema()
			}
			if err != nil {
				return err
			}
			_, err = a.out.Write(schema)
			return err
		},
	}
	c.Flags().BoolVar(&description, "description", false, "the schema of the file that describes an API for provider rest")
	return c
}

// configSchema is the schema of the config file, with the settings of every provider.
func configSchema() ([]byte, error) {
	settings := map[string]any{}
	for _, p := range providers() {
		settings[p.Name] = p.Settings()
	}
	return config.Schema(settings)
}

// showExample prints one of the described APIs, or their names.
func (a *app) showExample(args []string) error {
	files, err := fs.Glob(rest.Examples(), "*.yaml")
	if err != nil {
		return err
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".yaml")
	}
	if len(args) == 0 {
		for _, name := range files {
			a.say("%s", name)
		}
		return nil
	}
	if !slices.Contains(files, args[0]) {
		return usagef("no example %q: there are %s", args[0], listed(files))
	}
	_, err = a.out.Write([]byte(description(args[0] + ".yaml")))
	return err
}

// showConfig prints what holds. Secrets appear as the references they are, which tell where they come from.
func (a *app) showConfig(cfg *config.Config) error {
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	var shown map[string]any
	if err := yaml.Unmarshal(text, &shown); err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	for name, set := range cfg.Connections {
		conn, _ := at(shown, "connections", name)
		if conn == nil {
			continue
		}
		references := map[string]string{}
		for key, secret := range set.Credentials {
			references[key] = secret.Ref()
		}
		conn["credentials"] = references
		if settings := settingsOf(set); settings != nil {
			if err := set.DecodeSettings(settings); err != nil {
				return err
			}
			conn["settings"] = settings
		}
	}
	if database, ok := at(shown, "database"); ok && !cfg.Database.URL.IsZero() {
		database["url"] = cfg.Database.URL.Ref()
	}
	if text, err = yaml.Marshal(shown); err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	if a.json {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return fmt.Errorf("write the config: %w", err)
		}
	}
	_, err = a.out.Write(text)
	return err
}

// at finds a mapping by its keys.
func at(m map[string]any, keys ...string) (map[string]any, bool) {
	for _, k := range keys {
		next, ok := m[k].(map[string]any)
		if !ok {
			return nil, false
		}
		m = next
	}
	return m, true
}

// settingsOf is a new settings struct of a connection's provider, nil if it has none.
func settingsOf(set config.Connection) any {
	for _, p := range providers() {
		if p.Name == set.Provider {
			return p.Settings()
		}
	}
	return nil
}
