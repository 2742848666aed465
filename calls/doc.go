// Package calls is the protocol between the fetching and the tables: what is asked before a call is sent, what is
// answered, what is written down of it, and what a quota and a token are. It decides nothing.
package calls
