package demo

import (
	"strings"

	"syncer/config"
)

// foreign says whether a variable of the environment is a setting of syncer's that the demo does not follow. It asks
// where its own Postgres is; any other would lead its simulated night to a real database.
func foreign(name string) bool {
	return strings.HasPrefix(name, "SYNCER_") && name != "SYNCER_STATE_DIR" && name != "SYNCER_PG_BIN"
}

// OwnEnv is an environment without the settings that the demo does not follow.
func OwnEnv(env config.Env) config.Env {
	return func(name string) (string, bool) {
		if foreign(name) {
			return "", false
		}
		return env(name)
	}
}

// unset is what a command line begins with so that settings in the environment do not lead it away from the demo.
func unset(environ []string) string {
	text := ""
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); foreign(name) && name != config.EnvPath {
			text += " -u " + name
		}
	}
	if text == "" {
		return ""
	}
	return "env" + text + " "
}
