package rest

import (
	"fmt"
	"strconv"
)

// Types that may be written in a short way; see strictyaml.Shorthand.

// Paths are dotted paths into an answer, with numbers for places in a list: one, or a list of which the first that is
// there counts.
type Paths []string

// Words are texts: one, or a list.
type Words []string

// Statuses are HTTP statuses: one, or a list.
type Statuses []int

// Lists are lists of records: one, or several.
type Lists []List

// Short is the place of a single path.
func (p *Paths) Short() any { return single((*[]string)(p)) }

// Short is the place of a single text.
func (w *Words) Short() any { return single((*[]string)(w)) }

// Short is the place of a single status.
func (s *Statuses) Short() any { return single((*[]int)(s)) }

// Short is the place of a single list.
func (l *Lists) Short() any { return single((*[]List)(l)) }

// single makes a list of one and gives its place.
func single[T any](list *[]T) *T {
	*list = make([]T, 1)
	return &(*list)[0]
}

// Short is the place of a constant text.
func (h *Header) Short() any { return &h.Value }

// Short is the place of the path.
func (l *List) Short() any { return &l.Path }

// Short is the place of the path.
func (w *Wait) Short() any { return &w.Path }

// Short is the place of the path.
func (f *Field) Short() any { return &f.Path }

// Short is the place of the path.
func (i *ID) Short() any { return &i.Path }

// Body is any YAML value that is sent as JSON, with placeholders in its texts.
type Body any

// Calls are how many of them a rate allows, from 0 to a million.
type Calls float64

// UnmarshalText reads the number.
func (c *Calls) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1e6) {
		return fmt.Errorf("want a number from 0 to 1000000, got %q", text)
	}
	*c = Calls(n)
	return nil
}
