// Package text writes numbers, times, paragraphs and tables for a screen of 80 columns. What comes from a provider can
// control no terminal behind it.
package text
