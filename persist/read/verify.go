package read

// Violation is a broken promise of the tables.
type Violation struct {
	Rule  string // its short name
	Count int
	What  string // what it means and one example
}
