package finance

import (
	"crypto/sha256"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// taken stands in a kind for what was the item's own.
const taken = "…"

// KindOf is a reason without what is its item's own: ids, names of accounts, moments, spans and our numbers. Items whose
// reasons have one kind have most likely one cause, so a report can count them instead of naming each.
//
// What tells causes apart stays: an HTTP status, a code of the provider's, and all words. Own are texts that are
// certainly the item's, such as the provider's id of its call; they are taken out in whatever form they have.
//
// A kind is for comparing. A person is shown the reason of an example.
func KindOf(reason string, own ...string) string {
	for _, text := range own {
		if utf8.RuneCountInString(text) >= shortestOwn {
			reason = strings.ReplaceAll(reason, text, taken)
		}
	}
	listed := strings.Contains(reason, " accounts ") // the expressions cost more than all the rest
	if listed {
		reason = accountName.ReplaceAllString(reason, "${1}"+taken+"${2}")
	}
	reason = withoutTokens(reason)
	if strings.Count(reason, taken) > 1 {
		reason = takenRow.ReplaceAllString(reason, taken)
	}
	if listed {
		reason = eachOnce(reason)
	}
	return reason
}

// Fingerprint is the same number for all items that are not whole for one cause: over one connection, with one
// class and one kind (see [KindOf]), whichever run they are of. It is kept in the tables, so what goes into it
// may not change.
func Fingerprint(connection string, class Class, kind string) int64 {
	hash := sha256.Sum256([]byte(connection + "\x00" + string(class) + "\x00" + kind))
	return int64(binary.BigEndian.Uint64(hash[:8]))
}

// shortestOwn is the shortest text that is taken out for being the item's own: a shorter one would blank out words.
const shortestOwn = 4

// accountName is an account in a list of those that were refused or withheld, by what stands around it: a provider's id
// of an account may be any text.
var accountName = regexp.MustCompile(`(accounts refused: |accounts withheld by the provider: |\), ).{1,60}?( \([a-z]+: )`)

// takenRow is a list or a range of what was taken out. How long it is is the item's own, too.
var takenRow = regexp.MustCompile(taken + `(?:(?:, | and | to |\.\.|[:/@ -])?` + taken + `)+`)

// withoutTokens takes out every word with a digit in it, but for a status and for a code, and what looks like a random
// text.
func withoutTokens(s string) string {
	var kind strings.Builder
	word := "" // the last one, which says what a number behind it is
	for i := 0; i < len(s); {
		end := tokenEnd(s, i)
		if end == i {
			_, size := utf8.DecodeRuneInString(s[i:])
			kind.WriteString(s[i : i+size])
			i += size
			continue
		}
		token := s[i:end]
		if isOwn(token, word) {
			kind.WriteString(taken)
		} else {
			kind.WriteString(token)
		}
		word = strings.ToLower(token)
		i = end
	}
	return kind.String()
}

// tokenEnd is where the token ends that begins at i; i itself: none begins there. Letters and digits are one, with the
// signs between them that stand in ids, moments and numbers.
func tokenEnd(s string, i int) int {
	end := i
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if isOfWord(r) {
			end += size
			continue
		}
		if end == i || !joins(r, s[:end], s[end+size:]) {
			return end
		}
		end += size
	}
	return end
}

// joins says whether a sign stands within a token: a hyphen in a UUID does, a colon behind a word does not.
func joins(sign rune, before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	switch sign {
	case '-', '_', '.':
		return both(isOfWord, last, next)
	case ':', ',', '+':
		return both(unicode.IsDigit, last, next)
	}
	return false
}

var (
	// code is how providers write theirs: E1042, ORA-00942, AADSTS50011.
	code = regexp.MustCompile(`^[A-Z]{1,10}[-_]?[0-9]{1,5}$`)
	// short is a number that may be a status or a code, if the word before says so.
	short = regexp.MustCompile(`^[0-9]{1,6}$`)
)

// codeWords are those behind which a number tells one cause from another.
var codeWords = map[string]bool{"status": true, "code": true, "error": true, "errorcode": true, "kode": true, "feilkode": true}

func both(is func(rune) bool, a, b rune) bool { return is(a) && is(b) }

func isOfWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// isOwn says whether a token is the item's own. before is the word before it.
func isOwn(token, before string) bool {
	if strings.ContainsFunc(token, unicode.IsDigit) {
		return !code.MatchString(token) && !(codeWords[before] && short.MatchString(token))
	}
	const longestWord = 24
	return len(token) > longestWord && !strings.ContainsAny(token, "-_.") && mixed(token)
}

// mixed says that capital letters stand among small ones.
func mixed(token string) bool {
	return strings.ContainsFunc(token[1:], unicode.IsUpper) && strings.ContainsFunc(token, unicode.IsLower)
}

// eachOnce leaves of the accounts in a list one of each kind, since how many there are is the item's own.
func eachOnce(kind string) string {
	const opens = taken + " ("
	parts := strings.Split(kind, opens)
	last := len(parts) - 1
	if last == 0 {
		return kind
	}
	parts[last] = strings.ReplaceAll(parts[last], ") and "+taken+" more", ")")
	var kept []string
	seen := map[string]bool{}
	for _, part := range parts[1:last] {
		part = strings.TrimSuffix(part, ", ")
		if !seen[part] && !strings.HasPrefix(parts[last], part) {
			seen[part] = true
			kept = append(kept, part)
		}
	}
	return parts[0] + opens + strings.Join(append(kept, parts[last]), ", "+opens)
}
