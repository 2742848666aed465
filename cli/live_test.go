package cli

import (
	"bytes"
	"testing"
)

func TestLiveLineStaysBelowTheLog(t *testing.T) {
	var screen bytes.Buffer
	l := &liveLine{on: true, w: &screen}
	l.show("run 1")
	if _, err := l.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	l.clear()
	if want := eraseLine + "run 1" + eraseLine + "a log line\n" + "run 1" + eraseLine; screen.String() != want {
		t.Errorf("screen got %q, want %q", screen.String(), want)
	}
}
