package config

import (
	"strings"
	"testing"
)

// A variable that nobody reads is named, with the nearest that is read; what Kubernetes injects for a Service, what a
// secret refers to and what is empty is no mistake.
func TestVariablesThatNobodyReads(t *testing.T) {
	c, err := Parse([]byte("connections:\n  ng:\n    provider: norskgjeld\n    credentials:\n      client_secret: env:SYNCER_NG_SECRET\n"),
		"s.yaml", envOf(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, fine := range []string{
		"SYNCER_CONFIG=/etc/syncer.yaml", "SYNCER_STATE_DIR=/var/lib/syncer", "SYNCER_DATABASE_URL=postgres://h/d", "SYNCER_WORKER_LEASE=1m",
		"SYNCER_PG_BIN=/usr/bin", "SYNCER_NG_SECRET=x", "SYNCER_WORKER_LEESE=", "PATH=/bin", "MYSYNCER_X=1", "SYNCER_TEST_STEP=s1",
		"SYNCER_SERVICE_HOST=10.0.0.1", "SYNCER_SERVICE_PORT=80", "SYNCER_SERVICE_PORT_HTTP=80", "SYNCER_PORT=tcp://10.0.0.1:80",
		"SYNCER_PORT_80_TCP=tcp://10.0.0.1:80", "SYNCER_PORT_80_TCP_PROTO=tcp", "SYNCER_PORT_80_TCP_PORT=80", "SYNCER_PORT_80_TCP_ADDR=10.0.0.1",
		"SYNCER_POSTGRES_SERVICE_HOST=10.0.0.2", "SYNCER_POSTGRES_PORT_5432_TCP_ADDR=10.0.0.2",
	} {
		if err := c.CheckEnvironment([]string{fine}); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	for bad, want := range map[string]string{
		"SYNCER_WORKER_LEESE=1m":  `did you mean "SYNCER_WORKER_LEASE"?`,
		"SYNCER_LOGLEVEL=debug":   `did you mean "SYNCER_LOG_LEVEL"?`,
		"SYNCER_ZZZZZZZZZZZZZZ=1": "environment SYNCER_ZZZZZZZZZZZZZZ: no setting has this name",
	} {
		err := c.CheckEnvironment([]string{bad, "PATH=/bin"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", bad, err, want)
		}
		if value := bad[strings.Index(bad, "=")+1:]; err != nil && len(value) > 1 && strings.Contains(err.Error(), value) {
			t.Errorf("%s: the value is shown: %v", bad, err)
		}
	}
}
