package finance

// Class is what an answer, or the lack of one, means for the work. The stack around the connectors decides by it
// alone what happens next; see the outcome table in docs/design.md.
type Class string

// The classes, from best to worst.
const (
	OK          Class = "ok"          // commit
	Throttled   Class = "throttled"   // close the gate, then wait or park
	Transient   Class = "transient"   // back off, bounded
	TokenDenied Class = "token"       // one forced refresh, one retry, then the connection is parked
	ConsentOver Class = "consent"     // the consent ends; zero further calls for it
	Rejected    Class = "rejected"    // the item fails with the provider's words
	Malformed   Class = "malformed"   // quarantine, or the item fails
	Withheld    Class = "withheld"    // the item is excused: the provider has nothing on the subject, or may not tell (404, 451)
	Fatal       Class = "fatal"       // the connection is parked
	Unanswered  Class = "unanswered"  // a single-use send without an answer: never sent again
	Refused     Class = "refused"     // not sent: consent over, not valid yet, or not given for this
	Spent       Class = "spent"       // not sent: the consent's reads of the day are spent
	Unasked     Class = "unasked"     // not sent: the provider answered nobody for so long that its turn did not come
	Fenced      Class = "fenced"      // not sent or not committed: another worker has taken the batch over
	Interrupted Class = "interrupted" // not decided: the worker is leaving
)

// Classes are all classes, from best to worst.
func Classes() []Class {
	return []Class{OK, Throttled, Transient, TokenDenied, ConsentOver, Rejected, Malformed, Withheld, Fatal, Unanswered, Refused, Spent, Unasked, Fenced, Interrupted}
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
