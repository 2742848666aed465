package rest

import (
	"errors"
	"strings"

	"syncer/fetch/jsonread"
)

// shape is what is taken out of a JSON value: a tree with a node for each step of the paths. The value is then read
// from front to back once, by jsonread.Scanner, whose strictness no second parser could quite copy.
type shape struct {
	root *node
	size int // of slots, from 1
}

type node struct {
	steps map[string]*node // by key, or by place in a list
	slot  int              // the value here is wanted; 0: not
	list  int              // the list of records with this number begins here, from 1; 0: none
}

func newShape() *shape { return &shape{root: &node{}} }

// checkPath says what is wrong with a path.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("a path is missing")
	case strings.ContainsAny(path, "[]"):
		return errors.New("places in a list are written with dots: items.0.id")
	case strings.HasPrefix(path, "$"):
		return errors.New("paths begin with the first key, without a $")
	case strings.ContainsAny(path, "{}* \t\n\"'"):
		return errors.New("a path is made of keys and places joined by dots, and of nothing else")
	}
	for step := range strings.SplitSeq(path, ".") {
		if step == "" {
			return errors.New("a path has no empty steps")
		}
	}
	return nil
}

// find gives the node at a path, making it if needed.
func (s *shape) find(path string) *node {
	n := s.root
	if path == "." {
		return n
	}
	for step := range strings.SplitSeq(path, ".") {
		next := n.steps[step]
		if next == nil {
			if n.steps == nil {
				n.steps = map[string]*node{}
			}
			next = &node{}
			n.steps[step] = next
		}
		n = next
	}
	return n
}

// slots gives the slots in which the values at the paths will be.
func (s *shape) slots(paths Paths) (slots []int) {
	for _, path := range paths {
		n := s.find(path)
		if n.slot == 0 {
			s.size++
			n.slot = s.size
		}
		slots = append(slots, n.slot)
	}
	return slots
}

// values are the JSON texts that were found, by slot. What is null or missing is empty.
type values []string

func (s *shape) values() values { return make(values, s.size+1) }

// first is the first value that is there.
func (v values) first(slots []int) string {
	for _, slot := range slots {
		if v[slot] != "" {
			return v[slot]
		}
	}
	return ""
}

// taking reads one value along a shape.
type taking struct {
	s     *jsonread.Scanner
	into  values
	nulls []bool                 // which slots are there and null; nil: nobody asks
	list  func(number int)       // reads a list of records
	rest  func(path, raw string) // hears what no path leads to; nil: it is skipped
}

// value reads the next value of the scanner.
func (t *taking) value(n *node, path string) {
	switch s := t.s; {
	case n.list > 0:
		t.list(n.list)
	case s.Null():
		t.null(n)
	case n.slot > 0:
		raw := s.Raw()
		if t.into[n.slot] = raw; s.Err() == nil && len(n.steps) > 0 {
			inner := taking{s: jsonread.Scan([]byte(raw)), into: t.into, nulls: t.nulls, rest: t.rest}
			inner.inside(n, path)
		}
	default:
		t.inside(n, path)
	}
}

// null notes that nothing is there, in so many words. What is null has nothing inside, and says so of all of it.
func (t *taking) null(n *node) {
	if t.nulls == nil {
		return
	}
	if n.slot > 0 {
		t.nulls[n.slot] = true
	}
	for _, inner := range n.steps {
		t.null(inner)
	}
}

// inside reads what is in an object or in a list. Anything else has no inside, and is what no path leads to.
func (t *taking) inside(n *node, path string) {
	s := t.s
	switch s.Peek() {
	case '{':
		for o := s.Object(); o.Next(); {
			at := join(path, o.Key())
			if next := n.steps[o.Key()]; next != nil {
				t.value(next, at)
			} else if t.rest != nil && !s.Null() {
				t.leave(at, s.Raw())
			}
		}
	case '[':
		var left []string
		for a := s.Array(); a.Next(); {
			index := itoa(int(a.Place()))
			if next := n.steps[index]; next != nil {
				t.value(next, join(path, index))
			} else if t.rest != nil && !s.Null() {
				left = append(left, s.Raw())
			}
		}
		if len(left) > 0 {
			t.leave(path, "["+strings.Join(left, ",")+"]")
		}
	default:
		t.leave(path, s.Raw())
	}
}

func (t *taking) leave(path, raw string) {
	if t.rest != nil && t.s.Err() == nil && path != "" {
		t.rest(path, raw)
	}
}

// look takes values out of a whole answer that has no list of records, such as an error. What can't be read is not
// there.
func (s *shape) look(body []byte) values {
	found := s.values()
	t := taking{s: jsonread.Scan(body), into: found}
	if t.value(s.root, ""); t.s.End() != nil {
		return s.values()
	}
	return found
}
