package fetch

// At is a place of a pass that is about to be read.
type At struct {
	// Position is the cursor; empty: the beginning.
	Position string
	// Stored says that the position was read from the store: what stands before it was read by another process, in
	// another night, or before a batch was parked. The provider's list may have moved since, and the provider may have
	// forgotten a link or a cursor of its own.
	Stored bool
	// Seam says that the list may have moved since the page before was read: the position is Stored, or a pause lay
	// between. Where the provider's way of paging allows it, the last record of that page is to be read once more, and a
	// Page.Moved tells that it no longer stands there.
	Seam bool
}

// Step is how one position of a stream is read.
type Step struct {
	Request Request
	Version string // of the decoder: part of the page's key, so that a changed decoder reads kept pages anew
	// Beside is what of an answer leads on and does not stand in its body, such as a Link header: with another one the same
	// body is another page. Nil: all stands in the body.
	Beside func(*Answer) string
	// PositionName is the provider's own name of the position, where the stream's position holds more than that, such as what
	// was read so far. Empty: the stream's position is all there is. Coming to a name again is a circle. With a name
	// each position is asked for twice, so a step must not count its callings.
	PositionName string
	// Tail says that a page whose Next is the position asked for means "caught up", as in an event feed. Elsewhere
	// it is a loop, and an error.
	Tail bool
	// Look says that the page before is asked for, to see whether it still ends with the same record. Then the page's Next may
	// be the position asked for, which is read next.
	Look bool
	// Overlaps says that the answer begins with the last record of the page before, which was asked for once more. It stands on
	// two pages for that, and is no news. Then too the page's Next may be the position asked for, where there is nothing else
	// in the answer.
	Overlaps bool
	// First says that the page is the first of a list: of all there is, or of one window of time. What Walk knows of a
	// list (the keys it has shown, how many pages in a row were empty) begins anew with it.
	First bool
	// Afresh says that every pass reads all there is, from the same beginning, so that what is new may stand on the first
	// pages. Elsewhere a pass begins where the last one ended.
	Afresh bool
	// Shifts says that the list is paged by number or by offset, so that a record which goes moves those behind it.
	Shifts bool
	// Set is the name of the set of records that the list's pages form, declared whole on its last page; empty: there
	// is none of several pages. Whether it is proven is for Walk to say. No page of several is skipped as unchanged,
	// because its records would look as if they had vanished.
	Set string
	// Status is that of the set's transactions; empty: all records of the list belong to the set.
	Status string
	// NoContent says that an answer without content (204) means something to Decode. Elsewhere it shows
	// nothing, not even that there is nothing.
	NoContent bool
	// Parts says that an answer may call itself a part (by a 206 or its Content-Range), since it is the pages of the list together
	// that are read.
	Parts bool
	// Numbered says that the keys of debts hold a number among those that are alike, so that another one may have a key
	// when the first has gone. What is Made is numbered, too.
	Numbered bool
	// Judged says that the connector's Classify knew what stands in a good answer under error, and let it pass. Nil: it
	// never does. An answer with another error and without a record shows nothing.
	Judged func(*Answer) bool
	// Anew gives where the list begins. A link or a cursor of the provider's that was stored and is refused as one that
	// does not exist leads there, once. Nil: the step sends nothing that a provider could forget.
	Anew func() string
	// Narrow leads from a refusal of a list's first page to a place that the provider may give, such as a later day. Nil, or
	// not ok: there is none.
	Narrow func(*Error) (next string, ok bool)
	// End makes a page the last one of its list: it leads to what follows the list, or ends the pass. Walk calls it when a
	// page brings nothing that the list has not shown before, so that asking on would have no end. Nil: such a page leads
	// on like any other.
	End func(*Page) error
	// Decode reads an answer of class ok. Walk fills in the page's Answer and Key. An error or a panic fails the pass
	// with class malformed.
	Decode func(*Answer) (Page, error)
}
