// Package fetch is the provider contract and the one HTTP stack that every connector uses.
//
// A connector says what to ask and what an answer means. Around it stand, from the outside in: retry, the gate and
// the rate, the record of the call, the token, the wire. A connector therefore has no retry loop, no sleep, no
// limiter, no logger and no state between runs.
package fetch

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"syncer/calls"
	"syncer/fetch/pause"
	"syncer/finance"
)

// Provider is one kind of API as the list in cmd/syncer knows it.
type Provider struct {
	Name     string // the folder's name, and the word in configuration
	Title    string // the name people know
	Datasets []finance.Dataset
	// SubjectInCalls says that calls carry the subject's plain national identity number, so that an import of consents
	// has to keep it, sealed.
	SubjectInCalls bool
	// Settings makes a pointer to the provider's own settings, with yaml tags and defaults filled in. Configuration
	// decodes the connection's settings into it, strictly.
	Settings func() any
	// Zone is the calendar in which a connection's days begin and end, the provider's own: Stream.Today is told in it, and
	// so is a consent's last day. It needs no credentials. Nil: UTC.
	Zone func(Connection) (*time.Location, error)
	// DatasetsOf are those of Datasets that a connection has, where its settings decide. It needs no credentials. Nil: all.
	DatasetsOf func(Connection) ([]finance.Dataset, error)
	// Open turns a connection's configuration into the provider's driver. It makes no call.
	Open func(Connection) (Driver, error)
}

// Connection is what configuration says of one account at a provider.
type Connection struct {
	Name        string
	Provider    string
	Environment string // the provider's word, such as preprod or prod
	BaseURL     string // overrides the environment's API address
	AuthURL     string // overrides the environment's authorization server
	Credentials map[string]Secret
	Settings    any    // what Provider.Settings made, decoded
	Dir         string // the configuration's folder, from which relative paths in Settings are read
}

// Driver is what the stack needs to know of a provider for one connection.
type Driver struct {
	Base *url.URL // every request and every next link stays below it
	// Rate is the provider's published or prudent rate in calls a second, used when configuration names none; 0:
	// none known.
	Rate float64
	// Token says how the token of a key is asked for.
	Token func(TokenKey) (TokenRequest, error)
	// Header is what every call to the API carries, such as a subscription key. A secret belongs here and not into a
	// Request: one that is rotated is then sent by the passes that are under way, too.
	Header map[string]Secret
	// Authorize is how people give consents in the browser; nil: they don't. A driver that has it has a Granter as its
	// connector.
	Authorize *Authorization
	// Scopes are those that a dataset's calls need, one of which a consent that names scopes must have, or the call is
	// not made; a number of days at the end of a consent's scope (.50) does not count. Nil, or no entry: the provider's
	// own check is the only one.
	Scopes map[finance.Dataset][]string
	// Classify says what an answer means. It is asked for every answer with a status, 2xx included, since some
	// providers put errors into a 200.
	Classify func(*Request, *Answer) Meaning
	// Alone says that some pauses hold up one consent or account alone, as Meaning.Pauses tells. Who is meant is known only
	// when an answer has been judged, so no gate closes before that.
	Alone bool
	// Notes are what an operator should know of the connection's settings although they are no error, one line each;
	// syncer check tells them.
	Notes []string
	// Connect makes the connector on top of the stack.
	Connect func(*Client) Connector
}

// Connector reads one provider's streams.
type Connector interface {
	// PerAccount says whether a dataset has one stream for each account of the consent, rather than one in all.
	PerAccount(finance.Dataset) bool
	// Pages reads a stream from its cursor on. The empty cursor is the beginning. A page's Next is where the stream
	// stands once that page is committed. Reading again from there gives what follows it, and may give a record before it
	// once more that has changed. The page with Done ends the pass: its Next is where the next run begins. After an error,
	// which is an *Error, nothing follows.
	Pages(ctx context.Context, s Stream, from string) iter.Seq2[Page, error]
	// Probe makes one harmless call, for syncer check.
	Probe(ctx context.Context) error
}

// DayTaker is a Connector that can tell which datasets its provider gives for a range of days. What a
// Connector that is none has of transactions is asked for by days.
type DayTaker interface {
	// TakesDays says whether a stream of the dataset reads no more than the days from Since to Until.
	TakesDays(finance.Dataset) bool
}

// Versioned is a Connector that is configured what to make of an answer.
type Versioned interface {
	// Version names that. With another one the same answer may have a value in another member.
	Version() string
}

// Keyed is a Connector that can tell how it makes the keys of records. Of one that is none the keys are always made in
// the same way, and its sets of accounts and debts are whole.
type Keyed interface {
	Keys(finance.Dataset) Keys
}

// Keys is how the keys of a dataset's records are made.
type Keys struct {
	// Made is a fingerprint of everything that makes the key of a record and of the account that it hangs on, and of
	// nothing else. Where it is another one, the same record may get another key.
	Made  string
	Whole bool // a pass that is proven shows all records there are
}

// KeysOf is how a connector makes the keys of a dataset's records.
func KeysOf(c Connector, d finance.Dataset) Keys {
	if keyed, ok := c.(Keyed); ok {
		return keyed.Keys(d)
	}
	return Keys{Made: "1", Whole: d != finance.Transactions}
}

// AccountKeeper is a Connector that may know an account again whose provider gives it another id.
type AccountKeeper interface {
	// SameAs is where in a row stands what stays of an account, see finance.Whole.SameAs; nil: nothing is known to stay.
	SameAs() []string
}

// StatusReader is a Connector whose provider tells a consent's status.
type StatusReader interface {
	Status(ctx context.Context, task calls.Task) (ConsentState, error)
}

// ConsentState is what a provider says of a consent.
type ConsentState struct {
	Status     finance.ConsentStatus
	ValidUntil time.Time // zero: not told
}

// FeedReader is a Connector whose provider publishes what happens to consents.
type FeedReader interface {
	// Events reads the feed from a position on, oldest first. The empty position is the oldest event kept.
	Events(ctx context.Context, from string) iter.Seq2[EventPage, error]
	// FeedRetention is how long the provider keeps events. A reader that was away for longer must ask for every
	// consent's status, because it can't know what it missed.
	FeedRetention() time.Duration
}

// EventPage is one answer of a consent event feed.
type EventPage struct {
	Answer *Answer
	Events []ConsentEvent
	Next   string // the position after this page
	Gap    bool   // the position asked for is older than what the provider still has
}

// ConsentEvent is one thing that happened to a consent.
type ConsentEvent struct {
	ID        string
	ConsentID string // the provider's id of the consent
	At        time.Time
	Status    finance.ConsentStatus // what the consent is after the event
	Scope     string
	ClientRef string // our own reference, where it was given at registration
}

// Stream is one stream to read, on whose behalf, and how far back.
type Stream struct {
	finance.Stream
	Task     calls.Task
	Since    finance.Date // the oldest day wanted; a first load begins here
	Until    finance.Date // the newest day wanted; zero: no bound (the normal run). Set by a backfill.
	Lookback int          // days before the watermark that are read again, because bookings arrive late
	Today    finance.Date // in the connection's calendar, see Provider.Zone
	// Continues says that an earlier stream of the same item has made a call in this attempt at the item.
	Continues bool
	// Kept gives a page as it was last committed, for Walk to compare the bytes. Nil: nothing is known.
	Kept func(finance.PageKey) (finance.Kept, bool)
	// Stale says that the position to begin at lies within a pass that an earlier run began.
	Stale bool
	// Rows is what is stored of the stream. Nil: nothing is known.
	Rows Rows
	// Reported is when its records were made, as the last answers said it. Nil: nothing is known.
	Reported finance.Reported
}

// Rows tells a pass what is stored of its stream. The questions are asked seldom: a quiet night asks none.
type Rows interface {
	// Stored says whether all of these records are stored as they are, so that they bring nothing new.
	Stored(ctx context.Context, r *finance.Records) (bool, error)
	// Others says whether records of the set are stored, and not removed, that are not among those with these ids.
	Others(ctx context.Context, set finance.Extent, ids []string) (bool, error)
	// Quarantined gives those of these records, by the hashes of their bytes, that an earlier run has put into quarantine.
	Quarantined(ctx context.Context, bodies []finance.Hash) (map[finance.Hash]finance.Met, error)
}

// Page is what one answer of a stream holds.
type Page struct {
	Answer  *Answer
	Key     finance.PageKey
	Records finance.Records
	Rejects []finance.Reject
	Seen    int // records that the answer holds, those not kept and the rejects included; 0: those kept and the rejects
	Next    string
	Done    bool
	// Whole is set on the last page of a set that the provider shows whole. Walk takes it away where that is not proven.
	Whole   *finance.Whole
	Partial string // what the provider said is missing; empty: nothing
	// Moved says why the list has moved while it was read, so that its set is not proven; empty: it has not.
	Moved string
	// Outside says that the page shows nothing of its step's set, not even that it is empty.
	Outside bool
	// More says that the answer itself tells of a next page, rather than that asking on will show whether there is one.
	More bool
	// Steered says that Walk has led the page elsewhere than its bytes do, by what the pass had shown: they may lead on again.
	Steered bool
	// Afresh says of the last page of a pass that every such pass reads all there is; Walk sets it. See Step.Afresh.
	Afresh bool
	// Behind says of the last page of a pass that it was begun on an earlier day and has read up to that day only.
	Behind bool
	// Given is the first day that the provider gives, where it has refused older ones; see AddMissingDays.
	Given     finance.Date
	days      string       // what AddMissingDays has said
	numbered  bool         // see Step.Numbered
	vetted    int          // how many records it had when it was vetted, and one; 0: it was not. See Vet
	Unchanged bool         // the bytes are those of the kept page: Records is empty, and nothing needs writing
	Kept      finance.Kept // the kept page, when Unchanged
}

// Request is one call that a connector wants made. Path and query are below Driver.Base.
type Request struct {
	Method string // default GET
	// Path is escaped and relative to the base, such as "v1/debt/5b1f...". A slash at its end is sent; one in front says
	// nothing. Empty is the base itself, and "/" the base with a slash at its end.
	Path     string
	Query    url.Values
	RawQuery string // sent byte for byte in the place of Query, such as a next link's
	Header   http.Header
	IDHeader string // the header that carries our id of the call, such as X-Trace-ID; empty: X-Request-Id
	Body     []byte
	Template string // the path without ids, for the record: "/v1/debt/{consent}"
	Purpose  calls.Purpose
	Token    TokenKey
	Bucket   string // a part of the connection that the provider limits by itself; empty: the connection
	Task     calls.Task
	// Account is the provider's id of the account that is asked for; Walk sets it. Empty: none.
	Account string
	// Empty are statuses, beside those of 2xx, that are an answer without records: of a page behind the last one.
	Empty []int
	// Opening marks the first call of a stream, every attempt at which spends a read of the consent's daily budget; Walk
	// sets it. Continues marks the one of a later stream of the same item, whose first attempt is paid for already.
	Opening, Continues bool
	// Once marks the call of a single-use consent: its intent and its answer each get a commit of their own, and a
	// send that got no answer is never sent again.
	Once bool
}

// Answer is a complete answer: the last byte has arrived and the size is within bounds.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // decompressed
	Call   calls.Call
	Hash   finance.Hash // of Body; set on answers of class ok

	announced *pause.Announcement // what Header says of the calls to come; nil: not read yet
	memory    *held               // what it takes of the process's memory; nil: nothing
}

// Meaning is what an answer means, as a connector says it.
type Meaning struct {
	Class       finance.Class
	Reason      string                // the provider's words, one line, without personal data
	Correlation string                // the provider's id of the call
	RetryAfter  time.Duration         // a pause told anywhere but in the Retry-After header
	Status      finance.ConsentStatus // for ConsentOver: what the consent is now
	// Named says for ConsentOver that the answer's own code names this consent's end. Else only its status speaks
	// against the consent, which a proxy, a night of maintenance or a dead token may bring about as well.
	Named  bool
	Pauses Reach // for Throttled: whom the pause holds up; empty: everybody
}

// TokenKey names a token: what it is for. The zero key is right for a provider with a single kind of token.
type TokenKey struct {
	Audience string
	Scope    string // space separated
	// Consent is our number of the consent whose own grant the token comes from, by its refresh token; 0: the
	// connection's client credentials. A grant has one token, so that audience and scope say nothing beside it.
	Consent int64
	// Renewals is how often that consent has gone on under another id: each of them has a token of its own. The stack
	// fills it in.
	Renewals int
}
