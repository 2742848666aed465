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
