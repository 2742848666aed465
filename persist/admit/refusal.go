package admit

import (
	"strings"

	"syncer/calls"
	"syncer/finance"
)

// refusal is why a call may not be made: a code of admit_calls_v4 (empty: it may), and the words that its sentence
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
	case "spent", "reserved", "restored": // they pass: within a day, or when the database is accepted
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
	case "restored":
		return "the database is a restored copy, which does not know what was read after its dump: " +
			"`syncer db accept-restore` says what is to become of single-use consents and of reads a day"
	default:
		return r.ofConsent(ask.Needs)
	}
}

// closedGate is why a gate holds a call up that may be made: a code of admit_calls_v4 (empty: none does), and the words
// that its sentence needs.
type closedGate struct {
	code  string
	told  []string
	words string // of whoever has closed it
}

// sentence says to a person why the gate is closed; empty where none is. A code that this program does not know stands for
// itself, unless somebody has given words.
func (g closedGate) sentence() string {
	switch {
	case g.code == "quota" && len(g.told) == 2:
		return calls.PauseByQuota + callsOfDay(g.told[0]) + " is used up until " + g.told[1]
	case g.code == "pause" || g.words != "":
		return g.words
	}
	return g.code
}

// callsOfDay is a number of calls with commas between its thousands: 1 call, 5,000 calls.
func callsOfDay(digits string) string {
	if digits == "1" {
		return "1 call"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " calls"
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
