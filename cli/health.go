package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (p *Program) healthCommand() *cobra.Command {
	var wantReady bool
	c := &cobra.Command{
		Use: "health", Short: "Ask a serving syncer on this machine whether it lives", Args: usageArgs(cobra.NoArgs),
		Long:    "Asks /healthz of server.listen and exits 0 if the answer is good: for a container's health check.",
		Example: "  syncer health\n  syncer health --ready",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.configOrDefault()
			if err != nil {
				return err
			}
			path := "/healthz"
			if wantReady {
				path = "/readyz"
			}
			return p.health(cmd.Context(), "http://"+reachable(cfg.Server.Listen)+path)
		},
	}
	c.Flags().BoolVar(&wantReady, "ready", false, "ask whether it is ready for work instead")
	return c
}

// reachable turns an address to listen on into one to call: every interface includes the loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

func (p *Program) health(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: server.listen is no address to call", url)
	}
	client := http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("nobody serves: %w", err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %d: %s", url, answer.StatusCode, strings.TrimSpace(string(said)))
	}
	if p.json {
		return p.document(map[string]string{"url": url, "state": "ok"})
	}
	p.say("ok")
	return nil
}
