// Package finance is the vocabulary of the program: what a consent permits, what a provider's answer holds once it is
// read, and how its outcome is named. It has no behaviour beyond parsing, comparing and hashing its own values, and
// depends on nothing but the standard library and a decimal type, so that every room may use its words.
package finance
