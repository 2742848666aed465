package finance

// Class is what an answer, or the lack of one, means for the work. The stack around the connectors decides by it
// alone what happens next; see the outcome table in docs/design.md.
type Class string

// The classes, from best to worst.
const (
	OK          Class = "ok"          // commit
	Throttled   Class = "throttled"   // close the gate, then wait or park
	Transient   Class = "transient"   // back off, bounded
	TokenDenied Class = "token"       // one forced refresh, one retry, then the item fails; of all of them the connection is parked
	ConsentOver Class = "consent"     // the consent ends, or is suspected to have; see docs/consents.md
	Rejected    Class = "rejected"    // the item fails with the provider's words
	Malformed   Class = "malformed"   // quarantine, or the item fails
	Withheld    Class = "withheld"    // the item is excused: the provider has nothing on the subject, or may not tell (404, 451)
	Fatal       Class = "fatal"       // the item fails; of all of them, or of the token endpoint, the connection is parked
	Unanswered  Class = "unanswered"  // a single-use send without an answer: never sent again
	Refused     Class = "refused"     // not sent: consent over, not valid yet, or not given for this
	Suspected   Class = "suspected"   // not sent: the consent is suspected to be over, and not asked again yet
	Spent       Class = "spent"       // not sent: the consent's reads of the day are spent
	Unasked     Class = "unasked"     // not sent: the provider answered nobody for so long that its turn did not come
	Renewed     Class = "renewed"     // not sent: the consent goes on under another id, and is asked for again with that
	Fenced      Class = "fenced"      // not sent or not committed: another worker has taken the batch over
	Interrupted Class = "interrupted" // not decided: the worker is leaving
)

// Classes are all classes, from best to worst.
func Classes() []Class {
	return []Class{OK, Throttled, Transient, TokenDenied, ConsentOver, Rejected, Malformed, Withheld, Fatal, Unanswered, Refused, Suspected, Spent, Unasked, Renewed, Fenced, Interrupted}
}

// Outcome is how one item ended.
type Outcome string

// The outcomes of an item. Empty is a proven emptiness: the provider answered and had nothing. Partial means that
// the provider itself said something is missing, or that records had to be quarantined.
const (
	Rows    Outcome = "rows"
	Empty   Outcome = "empty"
	Partial Outcome = "partial"
	Excused Outcome = "excused"
	Failed  Outcome = "failed"
)
