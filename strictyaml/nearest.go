package strictyaml

import "fmt"

// nearest returns the candidate that name was most likely meant to be: the one with the fewest edits, if
// these are few enough for its length that a person would call it a slip. Ties go to the first candidate.
func nearest(name string, candidates []string) (string, bool) {
	best := ""
	bestDistance := len(name)/3 + 2
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance && d < len(c) {
			best = c
			bestDistance = d
		}
	}
	return best, best != ""
}

// DidYouMean is the candidate that name was most likely meant to be, as the end of a sentence, or nothing.
func DidYouMean(name string, candidates []string) string {
	if c, ok := nearest(name, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", c)
	}
	return ""
}

// distance is the Levenshtein distance of two strings in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
