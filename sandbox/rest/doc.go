// Package rest simulates two invented APIs that no connector was written for, so that they can be read by description
// only: Fjordbank, a bank in the manner of NextGenPSD2, and Nordvik Inkasso, a debt collector with an API of its own
// making. Both are written from their contracts in docs/providers/rest.md.
//
// Files of its own: two small simulators share the folder, so bank.go and collector.go stand each for a simulator.go, an options.go,
// a routes.go and a control.go.
package rest
