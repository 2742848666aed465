package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"syncer/app"
	"syncer/fetch"
)

// readSubject reads the national id of the person who is to answer; "" is nobody in particular. From a terminal it is
// read unseen.
func (p *Program) readSubject(in *bufio.Reader, text string) (fetch.Secret, error) {
	switch text {
	case "":
		return fetch.Secret{}, nil
	case "-":
		var err error
		if text, err = p.askFor(in, "National id of the person: "); err != nil {
			return fetch.Secret{}, fmt.Errorf("read the national id from stdin: %w", err)
		}
	default:
		fmt.Fprintln(p.err, "syncer: warning: other users of this machine can see a national id on the command line: write --subject - and type or pipe it")
	}
	number := app.NormalNationalID(text)
	if err := app.CheckNationalID(number); err != nil {
		return fetch.Secret{}, usagef("--subject: %s", err)
	}
	return fetch.NewSecret(number), nil
}

// askFor reads a line that nobody should read along.
func (p *Program) askFor(in *bufio.Reader, question string) (string, error) {
	if f, ok := p.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(p.err, question)
		defer fmt.Fprintln(p.err)
		line, err := term.ReadPassword(int(f.Fd()))
		return string(line), err
	}
	return readLine(in)
}

// readLine reads a line, the last one with or without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimSpace(line), err
}
