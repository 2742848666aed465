package finance

// Stream is what has a cursor: one dataset of one consent, and of one account where the dataset is kept per account.
type Stream struct {
	Consent int64
	Dataset Dataset
	Account string // empty where the dataset is not kept per account
	Span    string // a backfill's window, which has a cursor of its own; empty: the normal stream
}

// Whole says that a page, together with the pages before it in the same pass, holds everything there is of a set. A
// record of the set which is in the tables and not in the pass has vanished and gets removed_at.
type Whole struct {
	Status  string   // for transactions: only those of this status belong to the set; empty: all of the stream
	Prefix  string   // only records whose id begins so belong to the set; empty: all
	Earlier []string // the ids of the set's records that stood on earlier pages of the pass
	// Paged says that the set took several answers, which may have moved while they were read: what is missing from it is
	// only removed when a second pass misses it too. What one answer shows whole is proven by that answer.
	Paged bool
	// SameAs is, for accounts, where in a row stands what stays the same when a provider gives its accounts other ids: a
	// column (number), or extra and the path in it. Nil: nothing is known to stay.
	SameAs []string
}

// Extent is which of a stream's records are meant. Zero values: all.
type Extent struct {
	Status   string // of transactions
	Prefix   string // what the ids begin with
	From, To Date   // the booking days of transactions, both included
}

// Reject is a record that could not be read, or can't be stored.
type Reject struct {
	Place  int32  // its index in the answer
	Reason string // one line; never the record itself
	Key    string // the provider's key of it, within the stream's account; empty: it could not be read, or there is none
	Body   Hash   // of its bytes, or of what was read of them; zero: not known
	Known  bool   // an earlier run has quarantined it with the same bytes, so no position waits for it
	// Accepted says that somebody has decided to do without it, so nothing is missing for it.
	Accepted bool
}

// Met is what is known of a record in quarantine that comes again.
type Met struct {
	Accepted bool // somebody has decided to do without it
}

// Facts are what a committed page said beside its records. They are kept with the hash of its bytes, so that the
// same bytes, when they come again, need no decoding.
type Facts struct {
	Next    string `json:"next,omitempty"` // the cursor after the page
	Done    bool   `json:"done,omitempty"` // the pass ended with this page
	Records int    `json:"records"`
	Figures int    `json:"figures,omitempty"` // of Records, those that are balances of accounts
}

// Kept is a page as it was last committed: the hash of its answer's body, the call whose answer is kept, its facts.
type Kept struct {
	Body  Hash
	Call  CallID
	Facts Facts
}

// PageKey names a page of a stream by what was asked for: a hash of the request's path and query and of the version
// of the decoder that read it.
type PageKey Hash
