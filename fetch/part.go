package fetch

import (
	"net/http"
	"strconv"
	"strings"
)

// Unfinished is why an answer of 2xx says of itself that it is not the whole of what was asked for, by its status or by its
// Content-Range; empty: it does not. Rows may be stored from such an answer where it is taken for one, but it never proves
// that there are no others.
func (a *Answer) Unfinished() string {
	s, told := partOf(a.Header.Get("Content-Range"))
	switch {
	case a.Status == http.StatusPartialContent && told && s.first == 0 && s.isLast():
		return ""
	case unfinished(a.Status) != "":
		return unfinished(a.Status)
	case isSuccess(a.Status) && told && (s.first > 1 || !s.isLast()): // some count from 1
		return "the answer is a part of one (by its Content-Range)"
	}
	return ""
}

// LastPart says that by its Content-Range an answer has the last of what there is: bytes 50-99/100.
func (a *Answer) LastPart() bool {
	s, told := partOf(a.Header.Get("Content-Range"))
	return told && s.isLast()
}

// IsPart says that an answer is one of several by its own word, rather than not ready or the like.
func (a *Answer) IsPart() bool {
	return a.Status == http.StatusPartialContent || unfinished(a.Status) == "" && a.Unfinished() != ""
}

// part is what of a whole an answer shows.
type part struct{ first, last, total uint64 }

func (s part) isLast() bool { return s.last+1 >= s.total }

// partOf reads a Content-Range (RFC 9110 section 14.4): bytes 0-99/100, with a unit or without, as many APIs write it for
// records too. It is not told where the total is not.
func partOf(contentRange string) (s part, told bool) {
	_, numbers, found := strings.Cut(contentRange, " ")
	if !found {
		numbers = contentRange
	}
	shown, total, _ := strings.Cut(numbers, "/")
	first, last, _ := strings.Cut(shown, "-")
	for _, number := range []struct {
		text string
		into *uint64
	}{{first, &s.first}, {last, &s.last}, {total, &s.total}} {
		n, err := strconv.ParseUint(number.text, 10, 62)
		if err != nil {
			return part{}, false
		}
		*number.into = n
	}
	return s, s.first <= s.last
}
