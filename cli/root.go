package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/fetch"
	"syncer/report/text"
)

// Setup is what only main knows of.
type Setup struct {
	Providers []fetch.Provider // which there are
	Examples  fs.FS            // whole descriptions of APIs, for `syncer config example`: NAME.yaml

	// Environment is all of it, as os.Environ gives it: a variable that nobody reads is an error. Nil: none is looked at.
	Environment []string

	// Step is called at the named points of a batch's and a commit's life. The program leaves it nil; a test that kills
	// the program at such a point sets it.
	Step func(string)
}

// Program is one call of the program: its streams, its environment and the flags that every command has.
type Program struct {
	in    io.Reader
	out   io.Writer
	err   *spout
	env   config.Env
	setup Setup

	configPath string
	json       bool
	logFormat  string
	logLevel   string
	by         actor
	unsaid     *error    // why something could not be printed; see screen.Write
	began      time.Time // when the command was given

	live *liveLine // what stderr is written through, so that log lines and the live line don't mix
}

// New is the program with its streams and its environment. Its commands may be run one after the other.
func New(in io.Reader, out, err io.Writer, env config.Env, setup Setup) *Program {
	heard := newSpout(screen{Writer: err, env: env})
	unsaid := new(error)
	return &Program{
		in: in, out: screen{Writer: out, env: env, failed: unsaid}, err: heard, env: env, setup: setup, live: newLiveLine(heard, env),
		by: actor{command: "syncer"}, unsaid: unsaid,
	}
}

// Run executes the command line and gives the exit code. The end of ctx interrupts it: the pages in hand are finished.
func (p *Program) Run(ctx context.Context, args []string) int {
	p.began = time.Now()
	*p.unsaid = nil
	defer p.err.flush()
	root := p.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	p.live.clear()
	code, ended := errors.AsType[exitCode](err)
	_, misused := errors.AsType[usageError](err)
	switch {
	case err == nil && *p.unsaid != nil: // a disk that is full, say: what was printed is cut
		p.complain(fmt.Errorf("print what there is to say: %w", *p.unsaid))
		return ExitError
	case err == nil:
		return ExitOK
	case ended:
		if *p.unsaid != nil {
			p.complain(fmt.Errorf("print what there is to say: %w", *p.unsaid))
		}
		return int(code)
	case misused:
		p.complain(err)
		fmt.Fprintf(p.err, "See %s --help.\n", cmd.CommandPath())
		return ExitUsage
	case context.Cause(ctx) != nil:
		fmt.Fprintln(p.err, "syncer: interrupted")
		return ExitInterrupted
	}
	p.complain(err)
	return ExitError
}

// complain prints an error on one line, or a list of problems with a line for each.
func (p *Program) complain(err error) {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, problem := range problems {
			fmt.Fprintln(p.err, "syncer:", text.Printable(problem.Error()))
		}
		return
	}
	fmt.Fprintln(p.err, "syncer:", text.Printable(strings.Join(strings.Fields(err.Error()), " ")))
}

// root is the tree of commands.
func (p *Program) root() *cobra.Command {
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
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&p.configPath, "config", "", "config file (default $"+config.EnvPath+" or ./"+config.DefaultPath+")")
	flags.BoolVar(&p.json, "json", false, "print JSON: one document, or one line for each element of a list")
	flags.StringVar(&p.logFormat, "log-format", "", "console or json (default: console on a terminal, else json)")
	flags.StringVar(&p.logLevel, "log-level", "", "trace, debug, info, warn or error (default: the config's log.level)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		p.by.command = strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
		return p.checkFlags()
	}

	root.AddGroup(&cobra.Group{ID: "work", Title: "Work:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "set", Title: "Set up:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("work", p.runCommand(), p.workCommand(), p.serveCommand(), p.rerunCommand(), p.backfillCommand(),
		p.removalsCommand(), p.streamsCommand(), p.quarantineCommand())
	add("look", p.statusCommand(), p.runsCommand(), p.callCommand(), p.actsCommand(),
		p.verifyCommand(), p.healthCommand())
	add("set", p.initCommand(), p.checkCommand(), p.configCommand(), p.consentsCommand(), p.connectionsCommand(), p.keysCommand(), p.dbCommand())
	root.AddCommand(p.demoCommand(), p.sandboxCommand(), p.versionCommand())
	return root
}

func (p *Program) checkFlags() error {
	switch p.logFormat {
	case "", "console", "json":
	default:
		return usagef("--log-format %q: write console or json", p.logFormat)
	}
	if p.logLevel != "" && !slices.Contains(config.LogLevels(), p.logLevel) {
		return usagef("--log-level %q: write %s", p.logLevel, strings.Join(config.LogLevels(), ", "))
	}
	return p.by.check()
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
