package text

// Paint is how words are coloured; the zero value doesn't.
type Paint struct{ On bool }

func (p Paint) colour(code, s string) string {
	if !p.On {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Good colours what is well.
func (p Paint) Good(s string) string { return p.colour("32", s) }

// Warn colours what somebody should look at.
func (p Paint) Warn(s string) string { return p.colour("33", s) }

// Bad colours what is broken.
func (p Paint) Bad(s string) string { return p.colour("31", s) }

// Bold is for headings.
func (p Paint) Bold(s string) string { return p.colour("1", s) }
