package main

import (
	"syncer/fetch"
	"syncer/fetch/cambio"
	"syncer/fetch/dbnordics"
	"syncer/fetch/norskgjeld"
	"syncer/fetch/rest"
	"syncer/fetch/sbanken"
	"syncer/fetch/vipps"
)

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
