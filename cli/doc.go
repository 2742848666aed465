// Package cli is the command line: a file for each command, which reads its flags and arguments, has package app do the
// work and package report say what came of it.
package cli
