//go:build race

package sandboxtest

// Race says that the tests run with the race detector, which makes everything some five times slower: a proof gives it
// to the program, and what is proven by its number is proven by a smaller one.
const Race = true
