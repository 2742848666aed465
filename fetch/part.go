package fetch

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Unfinished is why an answer of 2xx says of itself that it is not the whole of what was asked for, by its status or by its
// Content-Range; empty: it does not. Rows may be stored from such an answer where it is taken for one, but it never proves
// that there are no others.
func (a *Answer) Unfinished() string {
	ranges := rangesOf(a.Header)
	byStatus := unfinished(a.Status)
	switch {
	case a.Status == http.StatusPartialContent && ranges.told() && ranges.whole():
		return ""
	case byStatus != "":
		return byStatus
	case isSuccess(a.Status) && !ranges.whole():
		return "the answer is a part of one (by its Content-Range)"
	}
	return ""
}

// LastPart says that by its Content-Range an answer has the last of what there is: bytes 50-99/100. It says
// nothing of what stands before: see cover.
func (a *Answer) LastPart() bool {
	ranges := rangesOf(a.Header)
	for _, p := range ranges {
		if !p.tells() || p.endsBefore() {
			return false
		}
	}
	if a.Status == http.StatusPartialContent {
		return ranges.told()
	}
	return len(ranges) > 0
}

// IsPart says that an answer is one of several by its own word, rather than not ready or the like.
func (a *Answer) IsPart() bool {
	if a.Status == http.StatusPartialContent {
		return true
	}
	return unfinished(a.Status) == "" && a.Unfinished() != ""
}

// part is what of a whole an answer shows, by one value of its Content-Range.
type part struct {
	unit               string // in lower case; empty: none is named
	first, last, total uint64
	read               bool // false: the value can't be read, so it may tell of anything
	shows              bool // first and last are told: */8 tells of 8 and shows none
	counted            bool // the total is told
}

// tells says which records, or bytes, the answer shows.
func (p part) tells() bool { return p.read && p.shows }

// endsBefore says that more is counted than stands up to the last one shown.
func (p part) endsBefore() bool { return p.counted && p.last+1 < p.total }

// begins says that nothing stands before the part. Records may be counted from 1, bytes never are.
func (p part) begins() bool {
	if p.first == 1 {
		return p.unit != "bytes"
	}
	return p.first == 0
}

// reaches says that nothing stands behind the record, or byte, last, if the first of all has the number base.
func (p part) reaches(base, last uint64) bool { return !p.counted || last+1 >= base+p.total }

// whole says that nothing is told of but what the answer shows.
func (p part) whole() bool {
	switch {
	case !p.read:
		return false
	case !p.shows:
		return p.total == 0
	}
	return p.begins() && p.reaches(p.first, p.last)
}

// parts are the values of an answer's Content-Range.
type parts []part

// told says that one of them tells both what is shown and how much there is.
func (ps parts) told() bool {
	for _, p := range ps {
		if p.tells() && p.counted {
			return true
		}
	}
	return false
}

// whole says that none of them tells of more than the answer shows, and that no two contradict one another.
func (ps parts) whole() bool {
	for i, p := range ps {
		if !p.whole() {
			return false
		}
		contradicts := func(before part) bool { return before.unit == p.unit && before != p }
		if slices.ContainsFunc(ps[:i], contradicts) {
			return false
		}
	}
	return true
}

// records is how many records the parts tell that the answer holds. Bytes are no records.
func (ps parts) records() (most uint64) {
	for _, p := range ps {
		if p.unit == "bytes" || !p.tells() {
			continue
		}
		shown := p.last + 1 - p.first
		if p.counted {
			shown = min(shown, p.total) // some repeat the range that was asked for
		}
		most = max(most, shown)
	}
	return most
}

// contentRange is the form of a Content-Range (RFC 9110 section 14.4): bytes 0-99/100, with a unit or without,
// as many APIs write it for records too. Blanks may stand anywhere, and = for the one behind the unit.
var contentRange = regexp.MustCompile(`^(?:([^\s=:,/*]+)[\s=:]+)?(?:(\d+)\s*-\s*(\d+)|\*)\s*/\s*(?:(\d+)|\*)$`)

// rangesOf reads all values of Content-Range.
func rangesOf(h http.Header) (all parts) {
	for _, line := range h.Values("Content-Range") {
		for value := range strings.SplitSeq(line, ",") {
			if value = strings.TrimSpace(value); value != "" {
				all = append(all, partOf(value))
			}
		}
	}
	return all
}

func partOf(value string) part {
	m := contentRange.FindStringSubmatch(value)
	if m == nil {
		return part{}
	}
	p := part{unit: strings.ToLower(m[1]), read: true, shows: m[2] != "", counted: m[4] != ""}
	for i, into := range []*uint64{&p.first, &p.last, &p.total} {
		text := m[i+2]
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 62)
		if err != nil {
			return part{}
		}
		*into = n
	}
	if p.first > p.last {
		return part{}
	}
	return p
}

// cover is what the pages of a list show of it together, by their Content-Range.
type cover struct {
	plain bool   // a page told nothing of a place in the list
	begun bool   // a page told of one
	base  uint64 // the number of the list's first record
	next  uint64 // behind the last one shown
	total part   // the part that told how many there are
	gap   bool   // something was left out, or could not be understood
}

// add takes note of a page's answer.
func (c *cover) add(a *Answer) {
	ranges := rangesOf(a.Header)
	if ranges.ofItself() {
		c.plain = true
		return
	}
	p := ranges[0]
	if len(ranges) > 1 || !p.tells() {
		c.begun = true
		c.gap = true
		return
	}
	if !c.begun {
		c.begun = true
		c.base = p.first
		c.next = p.first
		if !p.begins() {
			c.gap = true
		}
	}
	if p.first > c.next || c.contradicts(p) {
		c.gap = true
	}
	c.next = max(c.next, p.last+1)
	if p.counted {
		c.total = p
	}
}

// ofItself says that an answer tells nothing of a place in a list: it has all there is, or has no such header.
func (ps parts) ofItself() bool {
	if len(ps) == 0 {
		return true
	}
	if !ps.whole() {
		return false
	}
	return ps.told() || !ps[0].shows
}

// contradicts says that a part tells another total than one before.
func (c *cover) contradicts(p part) bool {
	if !c.total.counted || !p.counted {
		return false
	}
	return c.total.total != p.total
}

// incomplete is why the pages do not show that they are all; empty: nothing speaks against it.
func (c *cover) incomplete() string {
	if !c.begun {
		return ""
	}
	switch {
	case c.plain, c.gap, !c.total.reaches(c.base, c.next-1):
		return "the parts that were read are not the whole list (by their Content-Range)"
	}
	return ""
}
