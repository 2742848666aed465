package main

import (
	"os"

	"syncer/cli"
	"syncer/fetch"
	"syncer/fetch/cambio"
	"syncer/fetch/dbnordics"
	"syncer/fetch/norskgjeld"
	"syncer/fetch/rest"
	"syncer/fetch/sbanken"
	"syncer/fetch/vipps"
)

// setup is what the commands know of providers. step is as in program.
func setup(step func(string)) cli.Setup {
	return cli.Setup{Providers: providers(), Examples: rest.Examples(), Environment: os.Environ(), Step: step}
}

// providers is the one list of providers. A new one is a line here and one in the demo's list of simulators.
func providers() []fetch.Provider {
	return []fetch.Provider{
		norskgjeld.Provider(),
		sbanken.Provider(),
		vipps.Provider(),
		dbnordics.Provider(),
		cambio.Provider(),
		rest.Provider(),
	}
}
