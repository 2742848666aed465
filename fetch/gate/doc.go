// Package gate is what holds calls back in this process: the pause that a 429 has closed a bucket for, its even pace, the
// breaker of a provider that is down, and the turnstile that lets calls through one at a time.
//
// How long a pause is stands in package pause. That it holds for every process is for the database to see to.
package gate
