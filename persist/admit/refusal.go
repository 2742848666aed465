package admit

import (
	"strings"

	"syncer/calls"
	"syncer/finance"
)

// refusal is why a call may not be made: a code of admit_calls_v3 (empty: it may), and the words that its sentence
// needs.
type refusal struct {
	code string
	told []string
}

// class is what the refusal means for the call.
func (r refusal) class() finance.Class {
	switch r.code {
	case "":
		return ""
	case "fenced":
		return finance.Fenced
	case "parked", "credentials":
		return finance.Fatal
	case "renewed":
		return finance.Renewed
	case "suspected":
		return finance.Suspected
	case "spent", "reserved": // the one refusal that passes by itself, within a day
		return finance.Spent
	default:
		return finance.Refused
	}
}

// sentence says to a person why the call was refused that was asked for.
func (r refusal) sentence(ask *calls.Ask) string {
	switch r.code {
	case "fenced":
		return "the batch has been taken over by another worker"
	case "parked":
		return "connection " + ask.Connection + " is parked: " + r.word(0)
	case "credentials":
		return "connection " + ask.Connection + " is parked for these credentials: " + r.word(0)
	case "spent":
		return "daily reads spent: next at " + r.word(0)
	case "reserved":
		return "daily reads spent: what is left of " + r.word(0) + " is for the runs that are no backfills"
	default:
		return r.ofConsent(ask.Needs)
	}
}

// ofConsent is the sentence for a code of consent_refusal. One that this program does not know stands for itself.
func (r refusal) ofConsent(needs []string) string {
	switch r.code {
	case "unknown":
		return "consent not known"
	case "renewed":
		return "consent renewed: it goes on under another id"
	case "ended":
		return "consent ended: " + r.word(0)
	case "expired":
		return "consent ended: expired"
	case "suspected":
		return "consent suspected: not called before " + r.word(0) + ", because it was refused: " + r.word(1)
	case "not_yet":
		return "consent not valid yet: from " + r.word(0)
	case "scope":
		return "consent does not cover this: it has no scope " + strings.Join(needs, " or ")
	case "purpose":
		purpose := r.word(0)
		if purpose == "" {
			purpose = "not known"
		}
		return "consent was not given for this: its purpose is " + purpose + ", the job's " + r.wordsFrom(1)
	default:
		return "consent refused: " + r.code
	}
}

// word is the word that was told at a place; empty: none was.
func (r refusal) word(at int) string {
	if at >= len(r.told) {
		return ""
	}
	return r.told[at]
}

// wordsFrom are the words from a place on, any of which would do.
func (r refusal) wordsFrom(at int) string {
	if at >= len(r.told) {
		return ""
	}
	return strings.Join(r.told[at:], " or ")
}
