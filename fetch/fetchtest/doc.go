// Package fetchtest holds a connector to what every one must do (Run, Passes), and gives tests of connectors and of the HTTP
// stack a store and a network in memory. It is imported by tests only.
package fetchtest
