package finance

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportedIsReadBack(t *testing.T) {
	t.Parallel()
	r := Reported{}
	at := time.Date(2026, 11, 3, 4, 5, 6, 789_000, time.UTC)
	for i := range mostReported + 10 {
		r.Note(fmt.Sprint(i), at.Add(time.Duration(i)*time.Second))
	}
	if len(r) != mostReported {
		t.Fatalf("%d are remembered, at most %d should be", len(r), mostReported)
	}
	back, err := ParseReported(r.Encode())
	if diff := cmp.Diff(r, back); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if got, known := back.Of("7"); !known || !got.Equal(at.Add(7*time.Second)) {
		t.Errorf("record 7 was made at %s, known %t", got, known)
	}
	if want := at.Add((mostReported - 1) * time.Second); !back.Newest().Equal(want) {
		t.Errorf("the newest is of %s, want %s", back.Newest(), want)
	}
	if _, err := ParseReported(make([]byte, 17)); err == nil {
		t.Error("what is cut off was read")
	}
	one, two := Reported{}, Reported{}
	one.Note("a", at)
	two.Note("a", at.Add(-time.Hour))
	two.Note("b", at)
	both := one.And(two)
	if got, _ := both.Of("a"); len(both) != 2 || !got.Equal(at) || len(one) != 1 {
		t.Errorf("%v with %v is %v", one, two, both)
	}
}
