// Package report is what people and programs are shown: the shapes of the JSON, the text of reports, and the sentences
// that say why something is as it is and what to do about it.
//
// The JSON has names in snake case and durations in seconds, and leaves an absent time out. Scripts read it, so it
// changes only by additions; TestKeysOfTheJSON holds its keys. Once it did not: not_complete and withheld, which named
// every item in one line, went when their causes came.
package report
