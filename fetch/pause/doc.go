// Package pause reads how long a provider wants not to be called: out of Retry-After, of the rate-limit headers, or of a
// sentence in an error, each in the forms that servers really send.
package pause
