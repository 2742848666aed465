//go:build race

package lab

// raceEnabled is whether the proof has the race detector: then the program gets it too.
const raceEnabled = true
