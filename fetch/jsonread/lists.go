package jsonread

import "bytes"

// deepest is how deeply arrays and objects are followed. What nests deeper is no record that can be read, so its commas are
// not counted.
const deepest = 100 * maxDepth

// HasListOver says whether an array of a JSON text has more than most elements. It needs no memory to speak of. A text that is
// no JSON gives any answer.
func HasListOver(text []byte, most int) bool {
	if bytes.Count(text, []byte{','}) < most { // so nearly every answer costs no more than this
		return false
	}
	const inObject = -1
	commas := make([]int, 0, maxDepth) // of the open arrays
	beyond := 0                        // containers that are open and nest deeper
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i+1)
		case '[', '{':
			if len(commas) == deepest {
				beyond++
				continue
			}
			counted := 0
			if text[i] == '{' {
				counted = inObject
			}
			commas = append(commas, counted)
		case ']', '}':
			if beyond > 0 {
				beyond--
			} else if len(commas) > 0 {
				commas = commas[:len(commas)-1]
			}
		case ',':
			top := len(commas) - 1
			if beyond > 0 || top < 0 || commas[top] == inObject {
				continue
			}
			commas[top]++
			if commas[top] >= most {
				return true
			}
		}
	}
	return false
}

// stringEnd is where the string whose first character is at i has its closing quotation mark, or the text's end.
func stringEnd(text []byte, i int) int {
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return i
}

// someRecords are as many as tell how large those are that follow.
const someRecords = 1000

// Append is append for a list that is made of the elements of s's text. A list without room for x gets as much as the rest of the
// text suggests, and a quarter more at least. If it were a quarter each time, a list of many records would lie in memory nearly twice,
// which is more than all the rest of the answer costs.
func Append[T any](s *Scanner, list []T, x T) []T {
	if len(list) == cap(list) && len(list) >= someRecords {
		suggested := int(1.03*s.toCome(len(list))) + 1 // the records to come may be a little shorter
		room := len(list) + max(suggested, len(list)/4)
		grown := make([]T, len(list), room) // slices.Grow makes another list of the room with the race detector
		copy(grown, list)
		list = grown
	}
	return append(list, x)
}

// toCome is how many records the rest of the text has, if they are as long as those since a list was given room last.
func (s *Scanner) toCome(records int) float64 {
	more := records - s.roomFor
	bytes := s.i - s.roomAt
	if more <= 0 || bytes <= 0 { // it was another list
		more = records
		bytes = s.i
	}
	s.roomFor = records
	s.roomAt = s.i
	return float64(more) * float64(len(s.text)-s.i) / float64(max(bytes, 1))
}
