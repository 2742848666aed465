package cli

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) configCommand() *cobra.Command {
	return group("config", "Show the config, and schemas and examples for editing it",
		p.configSchemaCommand(),
		&cobra.Command{
			Use: "example [NAME]", Short: "Print a described API, for a connection of provider rest", Args: usageArgs(cobra.MaximumNArgs(1)),
			Long:    "Prints a whole description of an invented API, to begin one of your own with. Without a name it lists them.",
			Example: "  syncer config example\n  syncer config example fjordbank > mybank.yaml",
			RunE:    func(_ *cobra.Command, args []string) error { return p.showExample(args) },
		},
		&cobra.Command{
			Use: "show", Short: "Print the config with its defaults, the environment applied and no secret", Args: usageArgs(cobra.NoArgs),
			Example: "  syncer config show\n  SYNCER_WORKER_LEASE=1m syncer config show --json",
			RunE: func(*cobra.Command, []string) error {
				cfg, err := p.config()
				if err != nil {
					return err
				}
				return p.showConfig(cfg)
			},
		})
}

func (p *Program) configSchemaCommand() *cobra.Command {
	var description bool
	c := &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the config file, or of a described API", Args: usageArgs(cobra.NoArgs),
		Example: "  syncer config schema > syncer.schema.json\n  syncer config schema --description > description.schema.json",
		RunE: func(*cobra.Command, []string) error {
			schema := report.ConfigSchema()
			if description {
				schema = report.DescriptionSchema()
			}
			_, err := p.out.Write(schema)
			return err
		},
	}
	c.Flags().BoolVar(&description, "description", false, "the schema of the file that describes an API for provider rest")
	return c
}

// showExample prints one of the described APIs, or their names.
func (p *Program) showExample(args []string) error {
	files, err := fs.Glob(p.setup.Examples, "*.yaml")
	if err != nil {
		return err
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".yaml")
	}
	if len(args) == 0 {
		return p.listExamples(files)
	}
	if !slices.Contains(files, args[0]) {
		return usagef("no example %q: there are %s", args[0], text.List(files))
	}
	text, err := fs.ReadFile(p.setup.Examples, args[0]+".yaml")
	if err != nil {
		return err
	}
	if p.json {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return fmt.Errorf("write the example: %w", err)
		}
	}
	_, err = p.out.Write(text)
	return err
}

// listExamples prints the names of the described APIs.
func (p *Program) listExamples(names []string) error {
	for _, name := range names {
		if !p.json {
			p.say("%s", name)
			continue
		}
		if err := p.line(map[string]string{"name": name}); err != nil {
			return err
		}
	}
	return nil
}

// showConfig prints what holds. Secrets appear as the references they are, which tell where they come from.
func (p *Program) showConfig(cfg *config.Config) error {
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
		if settings := p.settingsOf(set); settings != nil {
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
	if p.json {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return fmt.Errorf("write the config: %w", err)
		}
	}
	_, err = p.out.Write(text)
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
func (p *Program) settingsOf(set config.Connection) any {
	for _, p := range p.setup.Providers {
		if p.Name == set.Provider {
			return p.Settings()
		}
	}
	return nil
}
