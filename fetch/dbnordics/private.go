package dbnordics

import (
	"encoding/json"

	"syncer/finance"
)

// withhold replaces personal identity numbers, Swedish or Norwegian, in a text of the provider's. A sole trader's answers
// and errors are full of them, and there are so few that even a hash of one gives it away.
func withhold(text string) string { return finance.MaskNationalIDs(text) }

// discreet drops the members of an Extra that hold a personal identity number.
func discreet(extra []byte) []byte {
	if text := string(extra); withhold(text) == text {
		return extra
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(extra, &members) != nil {
		return nil // can't be: it was written from checked parts. Nothing is better than what can't be checked.
	}
	for name, value := range members {
		if text := name + "\n" + string(value); withhold(text) != text {
			delete(members, name)
		}
	}
	if len(members) == 0 {
		return nil
	}
	out, err := json.Marshal(members)
	if err != nil {
		return nil
	}
	return out
}
