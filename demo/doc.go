// Package demo shows a whole night against simulated providers on this machine: with faults, a worker that is killed, and
// the re-runs of the morning.
package demo
