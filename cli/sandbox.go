package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/demo"
	"syncer/report/text"
)

// sandboxFolder is where a sandbox's configuration lies, unless a folder is named.
const sandboxFolder = ".syncer/sandbox"

func (p *Program) sandboxCommand() *cobra.Command {
	var o demo.SandboxOptions
	c := &cobra.Command{
		Use:   "sandbox [DIR]",
		Short: "Run the simulators of all providers on loopback, to try jobs against",
		Long: "Runs a simulator of every provider on this machine until it is stopped, and writes a configuration into\n" +
			"DIR (default: ./" + sandboxFolder + ") that calls them, with keys, secrets and lists of consents to import. A configuration\n" +
			"that is there is left as it is, and the simulators take the ports that it names: change its jobs, or add\n" +
			"your own. Nothing leaves this machine.",
		Example: "  syncer sandbox\n  syncer sandbox /tmp/try --faults --scale 5",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.Scale < 1:
				return usagef("--scale %d: it must be at least 1", o.Scale)
			case o.Port != 0 && (o.Port < 1024 || o.Port > 65000):
				return usagef("--port %d: write one from 1024 to 65000, or 0 for any that are free", o.Port)
			}
			if o.Dir = sandboxFolder; len(args) == 1 {
				o.Dir = args[0]
			}
			o.Env = demo.OwnEnv(p.env)
			return p.sandbox(cmd.Context(), o)
		},
	}
	c.Flags().IntVar(&o.Port, "port", 18090, "of the first simulator; the others have the next ones (0: any that are free)")
	c.Flags().IntVar(&o.Scale, "scale", 1, "how many times the usual world")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "the simulated world: the same seed is the same world")
	c.Flags().BoolVar(&o.Faults, "faults", false, "the simulators misbehave, as in syncer demo")
	return c
}

func (p *Program) sandbox(ctx context.Context, o demo.SandboxOptions) error {
	s, err := demo.StartSandbox(o)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := p.tellSandbox(s); err != nil {
		return err
	}
	<-ctx.Done()
	p.hint("The simulators have ended; the configuration stays in %s.", filepath.Dir(s.Config))
	return nil
}

// tellSandbox says what runs where, and what to try.
func (p *Program) tellSandbox(s *demo.Sandbox) error {
	list := s.Providers()
	if p.json {
		return p.document(map[string]any{"config": s.Config, "providers": list})
	}
	t := text.NewTable("connection", "job", "address", ">consents")
	for _, one := range list {
		t.Add(one.Connection, one.Job, one.URL, one.Consents)
	}
	t.Write(p.out)
	what := "is yours, and was left as it is"
	if s.Written {
		what = "calls them"
	}
	first := list[0]
	p.say("\n%s %s. In another terminal:", s.Config, what)
	p.say("  export %s=%s", config.EnvPath, s.Config)
	p.say("  syncer consents import %s --connection %s", first.File, first.Connection)
	p.say("  syncer check")
	p.say("  syncer run %s", first.Job)
	p.say("\nCtrl-C ends the simulators.")
	return nil
}
