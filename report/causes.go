package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"syncer/finance"
	"syncer/persist/read"
	"syncer/report/text"
)

// Causes are items by their causes. The items themselves are lines of their own, behind the report of `runs show`.
type Causes struct {
	Items     int     `json:"items"`
	Causes    []Cause `json:"causes"`
	More      int     `json:"more_causes,omitempty"` // those that are not listed
	MoreItems int     `json:"more_items,omitempty"`
}

// Cause is what several items miss alike, with the first and the newest of them.
type Cause struct {
	Dataset string `json:"dataset"`
	Outcome string `json:"outcome,omitempty"`
	Class   string `json:"class,omitempty"`
	Kind    string `json:"kind,omitempty"` // of the reasons, see finance.KindOf
	// Fingerprint is the cause in the table items, as to_hex(cause) shows it. It is the same in every run.
	Fingerprint string `json:"fingerprint,omitempty"`
	Items       int    `json:"items"`
	First       Item   `json:"first"`
	Newest      Item   `json:"newest"`
}

// Item is one item that is not complete, or of which accounts are withheld.
type Item struct {
	Event       string `json:"event,omitempty"` // item, or withheld; none of an example
	Run         int64  `json:"run"`
	Batch       int64  `json:"batch"`
	Consent     int64  `json:"consent"`
	External    string `json:"external_id,omitempty"` // the provider's id of the consent
	Dataset     string `json:"dataset"`
	Outcome     string `json:"outcome,omitempty"`
	Class       string `json:"class,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Correlation string `json:"correlation_id,omitempty"`
	Call        string `json:"call,omitempty"`
}

// causesOf are causes for programs, of items over a connection; nil: there is none.
func causesOf(connection string, c read.Causes) *Causes {
	if c.Items == 0 {
		return nil
	}
	j := &Causes{Items: c.Items, More: c.More, MoreItems: c.MoreItems}
	for _, cause := range c.List {
		j.Causes = append(j.Causes, Cause{string(cause.Dataset), string(cause.Outcome), string(cause.Class), cause.Kind,
			fingerprintOf(connection, cause), cause.Items, ItemOf("", cause.First), ItemOf("", cause.Newest)})
	}
	return j
}

// fingerprintOf is empty of items that are not decided, or whole, and of those that are put together because
// there are too many kinds.
func fingerprintOf(connection string, c read.Cause) string {
	if c.Kind == "" && c.First.Reason != "" {
		return ""
	}
	switch c.Outcome {
	case finance.Partial, finance.Excused, finance.Failed:
		return strconv.FormatUint(uint64(finance.Fingerprint(connection, c.Class, c.Kind)), 16)
	}
	return ""
}

// ItemOf is an item for programs. event is item or withheld; empty: it is an example.
func ItemOf(event string, i read.OpenItem) Item {
	j := Item{Event: event, Run: i.Run, Batch: i.Batch, Consent: i.Consent, External: shownID(i.External),
		Dataset: string(i.Dataset),
		Outcome: string(i.Outcome), Class: string(i.Class), Reason: i.Reason, Correlation: i.Correlation}
	if !i.Call.IsZero() {
		j.Call = i.Call.String()
	}
	return j
}

// writeCauses lists causes: of one with many items the first that met it, and the newest.
func writeCauses(w io.Writer, p text.Paint, title string, causes read.Causes) {
	if causes.Items == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.Bold(text.Paragraph(w, "", title)))
	for _, c := range causes.List {
		head := fmt.Sprintf("%s %s: %s", consentText(c.First.Consent, c.First.External), c.Dataset, outcomeText(c.Outcome, c.Class))
		if c.Items > 1 {
			head = fmt.Sprintf("%s of %s: %s, such as %s", text.Count(c.Items, "item"), c.Dataset,
				outcomeText(c.Outcome, c.Class), consentText(c.First.Consent, c.First.External))
		}
		fmt.Fprintln(w, text.Paragraph(w, "  ", head))
		for _, l := range text.Lines(w, "    ", reasonText(c.First)) {
			fmt.Fprintln(w, l)
		}
		if c.Items > 1 {
			fmt.Fprintln(w, text.Paragraph(w, "    ", "the newest is "+idsText(c.Newest)))
		}
	}
	if causes.More > 0 {
		fmt.Fprintf(w, "  and %s, with %s\n", text.Count(causes.More, "more kind"), text.Count(causes.MoreItems, "item"))
	}
}

// everyItem says how to see each item, where not all are named.
func everyItem(r read.Report, c read.Causes) string {
	if c.Items == len(c.List) {
		return ""
	}
	return fmt.Sprintf(" (each: syncer runs show %d --json)", r.Run.ID)
}

// ofKinds counts items and the kinds of their reasons.
func ofKinds(c read.Causes) string {
	said := text.Count(c.Items, "item")
	if kinds := len(c.List) + c.More; kinds < c.Items {
		said += " of " + text.Count(kinds, "kind")
	}
	return said
}

// idsText names an item and its call.
func idsText(item read.OpenItem) string {
	return strings.Join(append([]string{consentText(item.Consent, item.External)}, callIDs(item)...), "; ")
}

func outcomeText(o finance.Outcome, c finance.Class) string {
	switch {
	case o == "":
		return "not decided"
	case c == "":
		return string(o)
	}
	return fmt.Sprintf("%s (%s)", o, c)
}

// reasonText is why an item is not complete, and the ids by which the provider's support and `syncer call` find it.
func reasonText(item read.OpenItem) string {
	parts := []string{}
	if item.Reason != "" {
		parts = append(parts, item.Reason)
	}
	return strings.Join(append(parts, callIDs(item)...), "; ")
}

func callIDs(item read.OpenItem) (ids []string) {
	if item.Correlation != "" {
		ids = append(ids, "provider's id "+item.Correlation)
	}
	if !item.Call.IsZero() {
		ids = append(ids, "call "+item.Call.String())
	}
	return ids
}

func joinIDs(ids []int64) string { return strings.Trim(fmt.Sprint(ids), "[]") }
