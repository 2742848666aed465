package jobs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// tally is what an item has brought so far, in this and in earlier claims of its batch.
type tally struct {
	turn        *turn // of the item's consent
	records     int
	quarantined int // in this run
	partial     string
	// noted is what is missing from pages that are not this item's own: an earlier run has read them, or they are of the list of
	// accounts.
	noted string
	// opened says that a stream of it was asked for in this turn, so that the next one is no further read of the consent.
	opened bool
	last   finance.CallID // the newest call that brought a page

	accounts  int          // of an item that is read account by account; 0: it is not
	refused   []refusal    // accounts that could not be read
	withheld  []refusal    // accounts of which the provider may not, or will not, tell
	keptBack  []string     // their ids
	unasked   int          // accounts whose turn did not come, because those before them were refused one after the other
	unlisted  *refusal     // why the list of accounts could not be read, where those known from before were read all the same
	beyond    string       // how many accounts are more than one run reads; empty: none
	contested bool         // a key came with two contents, and one of them is in quarantine
	isolated  bool         // records of it were in quarantine when it was begun
	open      int          // records of it in quarantine that are not resolved, of this run or of earlier ones
	over      *fetch.Error // what speaks against the consent, by a status alone and said of one account
	brought   bool         // an earlier attempt of the run has brought records of accounts that this one need not ask for
}

// refusal is what one account of an item, or the list of them, was answered.
type refusal struct {
	name        string // of the account, fit to be shown
	class       finance.Class
	reason      string
	correlation string
	call        finance.CallID
}

func refusalOf(name string, d queue.Decision) refusal {
	return refusal{name, d.Class, d.Reason, d.Correlation, d.Call}
}

func (r refusal) String() string { return fmt.Sprintf("%s (%s: %s)", r.name, r.class, r.reason) }

// keepIn keeps what was read for the consent's second turn.
func (t *tally) keepIn(item *queue.Item) {
	item.Records = t.records
	item.Quarantined = t.quarantined
	item.Contested = t.contested
	item.Partial = t.partial
	if !t.last.IsZero() {
		item.Pages = max(item.Pages, 1)
	}
}

// takes says how a stream of the item is asked for. What was asked for before, in the consent's first turn, is repeated
// now, and a repetition is a read of its own.
func (t *tally) takes(s *fetch.Stream) {
	s.Continues = t.opened
	s.Task.OneTry = !t.turn.second
	if t.turn.failed[s.Stream] != nil {
		s.Continues = false
		s.Task.Tried = 1
	}
}

func (t *tally) add(page fetch.Page) {
	t.records += page.Count()
	t.quarantined += missed(page)
	if page.Partial != "" {
		t.partial = page.Partial
	}
}

// missed is how many records of a page could not be read, those left out that somebody has accepted.
func missed(page fetch.Page) (n int) {
	for i := range page.Rejects {
		if !page.Rejects[i].Accepted {
			n++
		}
	}
	return n
}

// listIncomplete is why an item is partial whose list of accounts is not complete.
const listIncomplete = "the list of accounts is not complete"

// addAside adds records that Postgres refuses, of the item itself or of its list of accounts.
func (t *tally) addAside(own bool, records int) {
	switch {
	case records == 0:
	case own:
		t.quarantined += records
		t.records -= min(records, t.records)
	default:
		t.note(listIncomplete)
	}
}

// note notes something that is missing although no page of this item's own says so.
func (t *tally) note(what string) { t.noted = cmp.Or(t.noted, what) }

// noteToo notes something that is missing beside what was noted before.
func (t *tally) noteToo(what string) {
	if t.noted != "" {
		what = t.noted + "; " + what
	}
	t.noted = what
}

// decide is the outcome of an item whose streams have all had their turn.
func (t *tally) decide() queue.Decision {
	d := queue.Decision{Call: t.last}
	missing := t.missing()
	switch {
	case fetch.MostlyUnread(t.quarantined, t.records+t.quarantined):
		d.Outcome = finance.Failed
		d.Class = finance.Malformed
		d.Reason = fmt.Sprintf("most records could not be read: %d of %d are in quarantine",
			t.quarantined, t.records+t.quarantined)
	case t.noneRead():
		d = t.worst(finance.Failed, missing)
	case len(missing) > 0:
		d = t.worst(finance.Partial, missing)
	case t.accounts > 0 && t.accounts == len(t.withheld):
		d = t.worst(finance.Excused, []string{t.withheldText()})
	case t.records > 0, t.brought:
		d.Outcome = finance.Rows
	default:
		d.Outcome = finance.Empty
	}
	proven := d.Outcome == finance.Rows || d.Outcome == finance.Empty
	if proven && len(t.withheld) > 0 {
		d.Class, d.Reason = finance.Withheld, t.withheldText()
	}
	return d
}

// noneRead says that accounts were refused and none was read, although some were asked for.
func (t *tally) noneRead() bool {
	if len(t.refused) == 0 || t.read() > 0 {
		return false
	}
	return !t.notAsked()
}

// read is how many accounts were read to their ends.
func (t *tally) read() int { return t.accounts - len(t.refused) - len(t.withheld) - t.unasked }

// notAsked says that of what is missing nothing was asked for: no read of the day was left, or no turn came.
func (t *tally) notAsked() bool {
	return !slices.ContainsFunc(t.refused, func(r refusal) bool {
		return r.class != finance.Spent && r.class != finance.Unasked
	})
}

// missing says what of the item is missing, a sentence for each kind; none: it is whole.
func (t *tally) missing() []string {
	var says []string
	if len(t.refused) > 0 {
		says = append(says, t.refusedText())
	}
	if t.unlisted != nil {
		says = append(says, fmt.Sprintf("the list of accounts could not be read (%s: %s); "+
			"those known from before were asked for all the same", t.unlisted.class, t.unlisted.reason))
	}
	if t.beyond != "" {
		says = append(says, t.beyond)
	}
	if t.partial != "" {
		says = append(says, t.partial)
	}
	if t.open > 0 {
		says = append(says, fmt.Sprintf("records could not be read and are in quarantine: %d", t.open)) // one kind, however many
	}
	if t.noted != "" {
		says = append(says, t.noted)
	}
	if len(says) > 0 && len(t.withheld) > 0 {
		says = append(says, t.withheldText())
	}
	return says
}

// namedAccounts is how many accounts a reason names; the others are counted.
const namedAccounts = 5

func (t *tally) refusedText() string {
	text := fmt.Sprintf("%d of %d accounts refused: %s", len(t.refused), t.accounts, named(t.refused))
	if t.unasked > 0 {
		text += fmt.Sprintf("; %d more were not asked for, because %d in a row failed", t.unasked, refusedInARow)
	}
	return text
}

func (t *tally) withheldText() string {
	return fmt.Sprintf("%d of %d accounts withheld by the provider: %s", len(t.withheld), t.accounts, named(t.withheld))
}

func named(list []refusal) string {
	var names []string
	for _, r := range list[:min(len(list), namedAccounts)] {
		names = append(names, r.String())
	}
	text := strings.Join(names, ", ")
	if more := len(list) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// fromWorst are the classes that an account can be refused with: the first heals least by itself.
var fromWorst = []finance.Class{
	finance.Malformed, finance.Rejected, finance.Throttled, finance.Transient, finance.Unasked, finance.Spent,
	finance.Withheld,
}

// worst is a decision in the name of the worst that accounts, or the list of them, were answered.
func (t *tally) worst(outcome finance.Outcome, says []string) queue.Decision {
	d := queue.Decision{Outcome: outcome, Reason: strings.Join(says, "; "), Call: t.last}
	all := slices.Clone(t.refused)
	if t.unlisted != nil {
		all = append(all, *t.unlisted)
	}
	if outcome == finance.Excused {
		all = append(all, t.withheld...)
	}
	if t.open > 0 {
		all = append(all, refusal{class: finance.Malformed, call: t.last})
	}
	if len(all) == 0 {
		return d
	}
	worst := slices.MinFunc(all, func(x, y refusal) int {
		return cmp.Compare(slices.Index(fromWorst, x.class), slices.Index(fromWorst, y.class))
	})
	d.Class = worst.class
	d.Correlation = worst.correlation
	if !worst.call.IsZero() {
		d.Call = worst.call
	}
	return d
}
