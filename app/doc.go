// Package app wires one installation together: the configuration with its keys, the database, the engine, and the
// connections with their providers. What a command, or later a page, asks of all of these together is here too.
package app
