package main

import (
	"syncer/fetch"
	"syncer/fetch/norskgjeld"
	"syncer/fetch/sbanken"
)

// providers is the one list of providers. A new one is a line here and one in the demo's list of simulators.
func providers() []fetch.Provider {
	return []fetch.Provider{
		norskgjeld.Provider(),
		sbanken.Provider(),
	}
}
