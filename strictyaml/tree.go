package strictyaml

import (
	"encoding/json"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxHops ends the walk along aliases that lead to themselves.
const maxHops = 16

// entry is one key of a mapping.
type entry struct {
	key   string
	token *token.Token
	value ast.Node
}

// mapping returns the keys of a mapping in the order of the file, those of merged mappings (<<) last. A key that stands
// there twice is a problem: one of the two would be lost without a word.
func (s *Source) mapping(n ast.Node, path string) ([]entry, bool) {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		s.failAt(n.GetToken(), path, "want keys and values here")
		return nil, false
	}
	var own, merged []entry
	seen := map[string]int{}
	for _, value := range mapping.Values {
		tk := value.Key.GetToken()
		key, ok := scalarText(value.Key)
		switch line, twice := seen[key]; {
		case value.Key.IsMergeKey() && s.Plain:
			s.failAt(tk, path, "merged keys (<<) are not read here: write them out")
		case value.Key.IsMergeKey():
			merged = append(merged, s.merged(value.Value, path)...)
		case !ok, key == "":
			s.failAt(tk, path, "want a plain word as key")
		case twice:
			s.failAt(tk, Join(path, key), "this key is already on line %d", line)
		default:
			seen[key] = locationOf(tk).line
			own = append(own, entry{key, tk, value.Value})
		}
	}
	for _, e := range merged {
		if _, over := seen[e.key]; !over {
			seen[e.key] = locationOf(e.token).line
			own = append(own, e)
		}
	}
	return own, true
}

// merged returns the keys that a merge key brings in: those of an alias to a mapping, or of several. A merge inside of
// a merged mapping is refused.
func (s *Source) merged(n ast.Node, path string) []entry {
	n, ok := s.resolve(n, path)
	if !ok {
		return nil
	}
	sources := []ast.Node{n}
	if seq, isList := n.(*ast.SequenceNode); isList {
		sources = seq.Values
	}
	var all []entry
	for _, n := range sources {
		n, ok := s.resolve(n, path)
		if !ok {
			continue
		}
		m, ok := n.(*ast.MappingNode)
		if !ok {
			s.failAt(n.GetToken(), path, "<< wants an alias to keys and values, such as <<: *common")
			continue
		}
		for _, value := range m.Values {
			tk := value.Key.GetToken()
			if value.Key.IsMergeKey() {
				s.failAt(tk, path, "<< inside of what << brings in is not followed: name both there, <<: [*a, *b]")
			} else if key, ok := scalarText(value.Key); ok {
				all = append(all, entry{key, tk, value.Value})
			}
		}
	}
	return all
}

// resolve looks through anchors, aliases and tags to the node that holds the value.
func (s *Source) resolve(n ast.Node, path string) (ast.Node, bool) {
	start := n
	for range maxHops {
		switch t := n.(type) {
		case nil:
			return nil, false
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		case *ast.AliasNode:
			n = s.anchors[nameOf(t.Value)]
			if n == nil && !s.Plain {
				s.failAt(start.GetToken(), path, "alias to an anchor that isn't in this file")
				return nil, false
			}
		default:
			return n, true
		}
		if s.Plain {
			s.failAt(start.GetToken(), path, "anchors, aliases and tags are not read here: write it out")
			return nil, false
		}
	}
	s.failAt(start.GetToken(), path, "alias that leads to itself")
	return nil, false
}

// nameOf is the name of an anchor or alias.
func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// scalarText returns a scalar as it is written, so that no value passes through a type it doesn't have (an id of 007
// stays 007).
func scalarText(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.MappingKeyNode:
		return scalarText(t.Value)
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// value turns a tree into what encoding/json writes.
func (s *Source) value(n ast.Node, path string) any {
	n, ok := s.resolve(n, path)
	if !ok {
		return nil
	}
	switch t := n.(type) {
	case *ast.MappingNode:
		entries, _ := s.mapping(t, path)
		m := make(map[string]any, len(entries))
		for _, e := range entries {
			m[e.key] = s.value(e.value, Join(path, e.key))
		}
		return m
	case *ast.SequenceNode:
		list := make([]any, len(t.Values))
		for i, v := range t.Values {
			list[i] = s.value(v, Join(path, strconv.Itoa(i)))
		}
		return list
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return t.Value
	case *ast.IntegerNode, *ast.FloatNode:
		if text := n.GetToken().Value; json.Valid([]byte(text)) {
			return json.Number(text)
		}
		s.failAt(n.GetToken(), path, "not a number as JSON knows it: put it into quotation marks")
		return nil
	}
	text, ok := scalarText(n)
	if !ok {
		s.failAt(n.GetToken(), path, "this can't be sent as JSON")
	}
	s.note(path, locationOf(n.GetToken()))
	return text
}
