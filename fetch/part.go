package fetch

import (
	"net/http"
	"strconv"
	"strings"
)

// Unfinished is why an answer of 2xx says of itself that it is not the whole of what was asked for; empty:
// it does not. Rows may be stored from such an answer where a description says so, but it never proves that
// there are no others.
func (a *Answer) Unfinished() string {
	if a.Status == http.StatusPartialContent && isAll(a.Header.Get("Content-Range")) {
		return ""
	}
	return unfinished(a.Status)
}

// LastPart says that an answer is a part, and by its Content-Range the last one: bytes 50-99/100.
func (a *Answer) LastPart() bool {
	_, last := spanOf(a.Header.Get("Content-Range"))
	return a.Status == http.StatusPartialContent && last
}

// isAll says whether a Content-Range is that of the whole: bytes 0-99/100.
func isAll(contentRange string) bool {
	first, last := spanOf(contentRange)
	return first && last
}

// spanOf says whether a Content-Range (RFC 9110 section 14.4), with a unit or without, begins with the
// first of what there is, and whether it ends with the last.
func spanOf(contentRange string) (first, last bool) {
	_, numbers, found := strings.Cut(contentRange, " ")
	if !found {
		numbers = contentRange
	}
	span, total, _ := strings.Cut(numbers, "/")
	from, to, _ := strings.Cut(span, "-")
	end, err := strconv.ParseUint(to, 10, 62)
	return from == "0", err == nil && total == strconv.FormatUint(end+1, 10)
}
