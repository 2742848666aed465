package sandbox

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// doubled shows a record of a list twice, the second time with one member changed; without a member it is
// the very same record twice. It is the first one that holds a text. The list is the first array under that
// name in the depths of objects. A body without it stays as it is.
func doubled(body []byte, list, member, holding string) []byte {
	if out, ok := doubleIn(body, list, member, holding); ok {
		return out
	}
	return body
}

func doubleIn(text json.RawMessage, list, member, holding string) (json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return nil, false
	}
	var records []json.RawMessage
	if json.Unmarshal(object[list], &records) == nil {
		at := slices.IndexFunc(records, func(r json.RawMessage) bool { return bytes.Contains(r, []byte(holding)) })
		if at < 0 {
			return nil, false
		}
		object[list] = marshal(slices.Insert(records, at+1, changedIn(records[at], member)))
		return marshal(object), true
	}
	for key, inner := range object {
		if changed, ok := doubleIn(inner, list, member, holding); ok {
			object[key] = changed
			return marshal(object), true
		}
	}
	return nil, false
}

// changedIn is a record with a text in a member. The member is a path of keys, joined by dots.
func changedIn(text json.RawMessage, member string) json.RawMessage {
	var record map[string]json.RawMessage
	if member == "" || json.Unmarshal(text, &record) != nil {
		return text
	}
	copied := maps.Clone(record)
	first, rest, nested := strings.Cut(member, ".")
	if nested {
		copied[first] = changedIn(copied[first], rest)
	} else {
		copied[first] = json.RawMessage(`"changed"`)
	}
	return marshal(copied)
}

func marshal(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: raw JSON has no JSON form: " + err.Error()) // can't be
	}
	return text
}
