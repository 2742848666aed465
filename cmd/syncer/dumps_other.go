//go:build unix && !linux

package main

// undumpable does nothing where there is no such flag: the limit of a dump's size says it all.
func undumpable() {}
