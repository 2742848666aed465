// Package sandbox is the kit that the providers' simulators are built from: an
// OAuth2 token endpoint, a journal of every arrival, faults that can be added
// while a test runs, quotas that answer 429, a clock that can be moved and
// seeded randomness.
//
// A simulator is written from the provider's documents and never from our
// connector, and shares no type or constant with it: what both sides copied
// from each other can't be wrong in a test, only in production.
//
// One Kit serves all simulators of a process:
//
//	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 1})
//	registry := norskgjeld.New(norskgjeld.Options{Kit: kit, Consents: 1000})
//	server, err := sandbox.Start(kit)
//	base, err := server.Mount("norskgjeld", registry.Handler())
//	defer server.Close()
//
// Everything under /_sandbox/ on any mounted address steers the kit (see
// Kit.Control); every other path belongs to the provider.
package sandbox
