// Package text writes numbers, times, paragraphs and tables as wide as the screen they go to. What comes from a provider can
// control no terminal behind it.
package text
