package cli

import (
	"errors"
	"html/template"
	"net/http"

	"syncer/fetch"
)

// showPage writes the page on which the browser ends. It loads nothing, runs nothing, and tells nobody the address it
// was opened at, which holds the code.
func showPage(out http.ResponseWriter, status int, title, text string) {
	h := out.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	out.WriteHeader(status)
	// The browser may have gone. A template of constants can't fail.
	_ = template.Must(template.New("page").Parse(answerPage)).Execute(out, struct{ Title, Text string }{title, text})
}

const answerPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}</style></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p></body></html>
`

// explained is an error for the person before the browser: what the provider says, and else only that it did not work;
// the operator's terminal has the rest.
func explained(err error) (title, text string) {
	if denial, ok := errors.AsType[*fetch.Denial](err); ok {
		return "No consent was given", denial.Error()
	}
	return "The consent could not be kept", "Whoever asked you for it can see why, and will ask again."
}
