package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/persist/embedded"
)

// path is the config file that this call means.
func (a *app) path() string {
	if a.configPath != "" {
		return a.configPath
	}
	if p, _ := a.env(config.EnvPath); p != "" {
		return p
	}
	return config.DefaultPath
}

// config reads the config file. No secret is read: each is when it is needed.
func (a *app) config() (*config.Config, error) {
	cfg, err := config.LoadUnresolved(a.path(), a.env)
	if err != nil {
		return nil, err
	}
	return cfg, cfg.CheckProviders(providerNames())
}

// configOrDefault is for commands that work without a config file too. One that was named must be there.
func (a *app) configOrDefault() (*config.Config, error) {
	cfg, err := a.config()
	named, _ := a.env(config.EnvPath)
	if errors.Is(err, fs.ErrNotExist) && a.configPath == "" && named == "" {
		return config.Parse(nil, config.DefaultPath, a.env)
	}
	return cfg, err
}

func providerNames() []string {
	var names []string
	for _, p := range providers() {
		names = append(names, p.Name)
	}
	return names
}

// embeddedDir is where the embedded server lives.
func embeddedDir(cfg *config.Config) (string, error) {
	if cfg.Database.StateDir != "" {
		return filepath.Join(cfg.Database.StateDir, "postgres"), nil
	}
	return embedded.DefaultDir()
}

// jobNames completes a command's first argument on the shell's behalf.
func (a *app) jobNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := a.config()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(cfg.Jobs), cobra.ShellCompDirectiveNoFileComp
}

// connectionNames is jobNames for connections.
func (a *app) connectionNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := a.config()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(cfg.Connections), cobra.ShellCompDirectiveNoFileComp
}
