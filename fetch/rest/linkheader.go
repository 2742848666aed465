package rest

import "strings"

// linkTo is the target of the first link of a relation in the values of header Link (RFC 8288 section 3), or empty.
// Relations are compared without regard to case, and a rel may name several.
func linkTo(headers []string, rel string) string {
	if rel == "" {
		rel = "next"
	}
	for _, h := range headers {
		for h != "" {
			var target, params string
			target, params, h = nextLink(h)
			for name := range strings.FieldsSeq(relOf(params)) {
				if strings.EqualFold(name, rel) {
					return target
				}
			}
		}
	}
	return ""
}

// readable says that every Link header holds links with relations that can be read. One that does not might have led on.
func readable(headers []string) bool {
	for _, h := range headers {
		if strings.TrimSpace(h) == "" {
			continue
		}
		for h != "" {
			var target, params string
			target, params, h = nextLink(h)
			if target == "" || strings.Contains(relOf(params), "'") { // quotes that are none (RFC 8288 section 3)
				return false
			}
		}
	}
	return true
}

// nextLink splits off the first link of a header: its target, its parameters, and what follows the comma behind them.
func nextLink(h string) (target, params, rest string) {
	_, h, found := strings.Cut(h, "<")
	if !found {
		return "", "", ""
	}
	target, h, found = strings.Cut(h, ">")
	if !found {
		return "", "", ""
	}
	quoted := false
	for i := 0; i < len(h); i++ {
		switch c := h[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return strings.TrimSpace(target), h[:i], h[i+1:]
		}
	}
	return strings.TrimSpace(target), h, ""
}

// relOf is the first rel among a link's parameters; the others must be ignored.
func relOf(params string) string {
	for params != "" {
		var one string
		one, params = cutParameter(params)
		name, value, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// cutParameter cuts at the first semicolon that is not in quotes.
func cutParameter(params string) (one, rest string) {
	quoted := false
	for i := 0; i < len(params); i++ {
		switch c := params[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return params[:i], params[i+1:]
		}
	}
	return params, ""
}
