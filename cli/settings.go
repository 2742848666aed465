package cli

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"syncer/config"
)

// path is the config file that this call means.
func (p *Program) path() string {
	if p.configPath != "" {
		return p.configPath
	}
	if p, _ := p.env(config.EnvPath); p != "" {
		return p
	}
	return config.DefaultPath
}

// config reads the config file. No secret is read: each is when it is needed.
func (p *Program) config() (*config.Config, error) {
	cfg, err := config.LoadUnresolved(p.path(), p.env)
	if err != nil {
		return nil, err
	}
	return cfg, cmp.Or(cfg.CheckEnvironment(p.setup.Environment), cfg.CheckProviders(p.providerNames()))
}

// configOrDefault is for commands that work without a config file too. One that was named must be there.
func (p *Program) configOrDefault() (*config.Config, error) {
	cfg, err := p.config()
	named, _ := p.env(config.EnvPath)
	if errors.Is(err, fs.ErrNotExist) && p.configPath == "" && named == "" {
		return p.defaults()
	}
	return cfg, err
}

// defaults is the config where there is no file.
func (p *Program) defaults() (*config.Config, error) {
	cfg, err := config.Parse(nil, config.DefaultPath, p.env)
	if err != nil {
		return nil, err
	}
	return cfg, cfg.CheckEnvironment(p.setup.Environment)
}

// providerNames are the names that a connection may say for its provider.
func (p *Program) providerNames() []string {
	var names []string
	for _, p := range p.setup.Providers {
		names = append(names, p.Name)
	}
	return names
}

// jobNames completes a command's first argument on the shell's behalf.
func (p *Program) jobNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := p.config()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(cfg.Jobs)), cobra.ShellCompDirectiveNoFileComp
}

// connectionNames is jobNames for connections.
func (p *Program) connectionNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := p.config()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(cfg.Connections)), cobra.ShellCompDirectiveNoFileComp
}
