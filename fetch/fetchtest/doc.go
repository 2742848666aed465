// Package fetchtest is what tests of connectors and of the HTTP stack share: a ledger and a network in memory. It is
// imported by tests only.
package fetchtest
