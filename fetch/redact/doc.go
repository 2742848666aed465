// Package redact takes out of what a provider has written whatever must not come back: secrets, tokens and national
// identity numbers.
package redact
