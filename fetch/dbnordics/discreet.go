package dbnordics

import (
	"encoding/json"
	"strings"

	"syncer/finance"
)

// withheld stands where a personal identity number stood.
const withheld = "[number]"

// withhold replaces personal identity numbers, Swedish or Norwegian, in a text of the provider's. A sole trader's answers
// and errors are full of them, and there are so few that even a hash of one gives it away.
func withhold(text string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		if text[i] < '0' || text[i] > '9' {
			i++
			continue
		}
		first := digitsEnd(text, i)
		end := first
		if first < len(text) && strings.IndexByte("-+ ", text[first]) >= 0 {
			if second := digitsEnd(text, first+1); second > first+1 && identifies(text[i:first]+text[first+1:second]) {
				end = second
			}
		}
		if end > first || identifies(text[i:first]) {
			b.WriteString(text[done:i])
			b.WriteString(withheld)
			done = end
		}
		i = end
	}
	if done == 0 {
		return text
	}
	return b.String() + text[done:]
}

func digitsEnd(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

func identifies(digits string) bool { return finance.IsNationalID(digits) || personal(digits) }

// personal says whether a text is a Swedish personal identity number or co-ordination number (whose day is 60 higher), of
// ten digits or with the century of twelve. A company's number can't be one: its third digit is 2 or more.
func personal(s string) bool {
	if !onlyDigits(s) || len(s) != 10 && len(s) != 12 {
		return false
	}
	if len(s) == 12 {
		if century := s[:2]; century != "18" && century != "19" && century != "20" {
			return false
		}
		s = s[2:]
	}
	month, day := int(s[2]-'0')*10+int(s[3]-'0'), (int(s[4]-'0')*10+int(s[5]-'0'))%60
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 && luhn(s)
}

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
