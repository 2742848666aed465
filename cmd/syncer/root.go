package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"syncer/config"
)

// app is one call of the program: its streams, its environment and the flags that every command has.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      config.Env

	configPath string
	json       bool
	logFormat  string
	logLevel   string

	// step is called at the named points of a batch's and a commit's life. The program leaves it nil; a test that kills
	// the program at such a point sets it.
	step func(string)
	live *liveLine // what stderr is written through, so that log lines and the live line don't mix
}

func newApp(in io.Reader, out, err io.Writer, env config.Env) *app {
	return &app{in: in, out: out, err: err, env: env, live: newLiveLine(err, env)}
}

// run executes the command line and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	a.live.clear()
	var code exitCode
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		a.complain(err)
		fmt.Fprintf(a.err, "See %s --help.\n", cmd.CommandPath())
		return exitUsage
	case context.Cause(ctx) != nil:
		fmt.Fprintln(a.err, "syncer: interrupted")
		return exitInterrupted
	}
	a.complain(err)
	return exitError
}

// complain prints an error on one line, or a list of problems with a line for each.
func (a *app) complain(err error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintln(a.err, "syncer:", printable(p.Error()))
		}
		return
	}
	fmt.Fprintln(a.err, "syncer:", printable(strings.Join(strings.Fields(err.Error()), " ")))
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "syncer",
		Short: "Pull consented financial data on a schedule, and prove what was got",
		Long: "syncer pulls accounts, transactions and debt for every active consent, keeps to what the providers\n" +
			"allow, and writes the results and the id of every call to Postgres in batches that can be resumed.",
		Example:       "  syncer init && syncer check\n  syncer run nightly-debt\n  syncer serve",
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "", "config file (default $"+config.EnvPath+" or ./"+config.DefaultPath+")")
	flags.BoolVar(&a.json, "json", false, "print JSON: one document, or one line for each element of a list")
	flags.StringVar(&a.logFormat, "log-format", "", "console or json (default: console on a terminal, else json)")
	flags.StringVar(&a.logLevel, "log-level", "", "trace, debug, info, warn or error (default: the config's log.level)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkFlags() }

	root.AddGroup(&cobra.Group{ID: "work", Title: "Work:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "set", Title: "Set up:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("work", a.runCommand(), a.workCommand(), a.serveCommand(), a.rerunCommand(), a.backfillCommand(),
		a.removalsCommand(), a.streamsCommand(), a.quarantineCommand())
	add("look", a.statusCommand(), a.runsCommand(), a.callCommand(), a.verifyCommand(), a.healthCommand())
	add("set", a.initCommand(), a.checkCommand(), a.configCommand(), a.consentsCommand(), a.connectionsCommand(), a.keysCommand(), a.dbCommand())
	root.AddCommand(a.demoCommand(), a.versionCommand())
	return root
}

func (a *app) checkFlags() error {
	switch a.logFormat {
	case "", "console", "json":
	default:
		return usagef("--log-format %q: write console or json", a.logFormat)
	}
	if a.logLevel != "" && !slices.Contains(config.LogLevels(), a.logLevel) {
		return usagef("--log-level %q: write %s", a.logLevel, strings.Join(config.LogLevels(), ", "))
	}
	return nil
}

// group is a command that only holds others. An unknown one below it is an error, not a help page with exit code 0.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("json") { // a script would take a page of help for its answer
				return usagef("%s does nothing by itself: name one of its commands", cmd.CommandPath())
			}
			return cmd.Help()
		}}
	c.AddCommand(children...)
	return c
}

// knownCommand is the argument check of a command that only holds others: what is left over is a name it has not.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// usageArgs marks what cobra says of arguments as a mistake in the command line.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
