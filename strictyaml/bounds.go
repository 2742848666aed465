package strictyaml

import (
	"bytes"
	"fmt"
)

// What a file may hold at most. The parser's cost grows with the square of how deep a file nests and of how many lines it has:
// 100,000 brackets in 100 kB took 14 GB. No file that people write comes near.
const (
	largest  = 1 << 20 // bytes
	deepest  = 1000    // lists and groups in one another
	mostRows = 20_000
)

// excess says what of a file is more than is read; empty: nothing. It looks at the bytes alone, so a bracket in a text counts too.
func excess(data []byte) string {
	switch {
	case len(data) > largest:
		return fmt.Sprintf("larger than %d bytes: is it the right file?", largest)
	case bytes.Count(data, []byte{'\n'})+bytes.Count(data, []byte{'\r'}) > 2*mostRows:
		return fmt.Sprintf("more than %d lines: is it the right file?", mostRows)
	case isDeep(data):
		return fmt.Sprintf("more than %d lists or groups stand in one another: is it the right file?", deepest)
	}
	return ""
}

// isDeep counts the brackets that are open, and the dashes and question marks of a line that begin something in
// something.
func isDeep(data []byte) bool {
	open := 0
	begun := 0 // on this line
	for i, c := range data {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '\n', '\r':
			begun = 0
		case ' ', '\t':
			if i > 0 && bytes.IndexByte([]byte("-?"), data[i-1]) >= 0 {
				begun++
			}
		}
		if open > deepest || begun > deepest && open == 0 {
			return true
		}
	}
	return false
}
