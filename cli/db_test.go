package cli

import (
	"strings"
	"testing"
)

func TestWithoutPassword(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://u:s3cret@h:5432/db?sslmode=require":      "postgres://u@h:5432/db?sslmode=require",
		"postgres://h/db?user=u&password=s3cret":             "postgres://h/db?user=u",
		"postgres:///db?host=/run/pg&sslpassword=s3cret&x=1": "postgres:///db?host=%2Frun%2Fpg&x=1",
	} {
		if got, err := withoutPassword(in); err != nil || got != want {
			t.Errorf("withoutPassword(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"host=h password=s3cret", "s3cret", ""} {
		if got, err := withoutPassword(in); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("withoutPassword(%q) = %q, %v; want an error that tells nothing", in, got, err)
		}
	}
}
