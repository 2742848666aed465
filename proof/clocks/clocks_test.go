// Package clocks proves that every tick fires once and every day is read once, also where clocks change: with real processes
// in zones whose clocks jump.
package clocks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/proof/lab"
)

// TestMain builds the program that lives through the nights here.
func TestMain(m *testing.M) { lab.Main(m) }

// zoneFile is a zone whose clocks show one time less after an instant than before, or more: a file of version 2 with
// one change and no rule for later ones, as RFC 9636 has it. The offsets are seconds east of Greenwich.
func zoneFile(change time.Time, before, after int) []byte {
	var file bytes.Buffer
	put := func(v any) { _ = binary.Write(&file, binary.BigEndian, v) } // to memory
	type counts struct {
		Magic                                      [5]byte
		_                                          [15]byte
		UT, Standard, Leaps, Changes, Types, Chars uint32
	}
	type localTime struct {
		Offset     int32
		DST, Named uint8
	}
	magic := [5]byte([]byte("TZif2"))
	put(counts{Magic: magic, Types: 1, Chars: 4}) // the block of 32 bits, which nobody reads
	put(localTime{})
	file.WriteString("LMT\x00")
	put(counts{Magic: magic, Changes: 1, Types: 2, Chars: 4})
	put(change.Unix())
	put(uint8(1))
	put([]localTime{{Offset: int32(before)}, {Offset: int32(after)}})
	file.WriteString("LMT\x00\n\n")
	return file.Bytes()
}

// zones are zones of the test's own, whose clocks all change at the same instant.
type zones struct {
	testing.TB
	dir    string
	change time.Time
}

// add makes a zone in which the wall shows one time until the change and another from then on. walls are the times on
// the wall at the given instants, which are checked: the nights that are to be lived through are those, and no others.
func (z zones) add(name, before, after string, at []time.Time, walls ...string) (weekday time.Weekday) {
	z.Helper()
	offset := func(wall string) int {
		shown, err := time.Parse("15:04", wall)
		if err != nil {
			z.Fatal(err)
		}
		utc := z.change.UTC()
		return (shown.Hour()-utc.Hour())*3600 + (shown.Minute()-utc.Minute())*60
	}
	east := (offset(before)+36*3600)%(24*3600) - 12*3600 // at most half a day
	file := zoneFile(z.change, east, east+offset(after)-offset(before))
	zone, err := time.LoadLocationFromTZData(name, file)
	if err != nil {
		z.Fatal(err)
	}
	var got []string
	for _, at := range at {
		got = append(got, at.In(zone).Format("15:04"))
	}
	if diff := cmp.Diff(walls, got); diff != "" {
		z.Fatalf("the clocks of %s (-want +got):\n%s", name, diff)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(z.dir, name)), 0o700); err != nil {
		z.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(z.dir, name), file, 0o600); err != nil {
		z.Fatal(err)
	}
	return z.change.In(zone).Weekday()
}

// changingClocks are jobs in three zones whose clocks change at the second of three minutes: a spring night, an autumn
// night that has 02:30 twice within the three minutes, and one that goes back a whole hour.
func changingClocks(t testing.TB, dir string, m []time.Time) (jobs []lab.Timed) {
	z := zones{t, dir, m[1]}
	considered := m[0].Add(-time.Second)
	add := func(name, zone, expr, catchUp string, due ...time.Time) {
		jobs = append(jobs, lab.Timed{Name: name, Expr: expr, Zone: zone, CatchUp: catchUp, ConsideredAt: considered, Due: due})
	}
	day := z.add("Night/Spring", "02:00", "03:00", m, "01:59", "03:00", "03:01")
	add("spring-minutes", "Night/Spring", "* * * * *", "all", m...)
	add("spring-hours", "Night/Spring", "0 * * * *", "latest", m[1])
	add("spring-before", "Night/Spring", "59 1 * * *", "all", m[0])
	add("spring-night", "Night/Spring", "30 2 * * *", "latest", m[1]) // the time that is not: when the gap ends
	add("spring-weekly", "Night/Spring", fmt.Sprintf("30 2 * * %d", day), "all", m[1])
	add("spring-after", "Night/Spring", "0 3 * * *", "all", m[1])

	day = z.add("Night/Autumn", "02:31", "02:30", m, "02:30", "02:30", "02:31")
	add("autumn-minutes", "Night/Autumn", "* * * * *", "all", m...)
	add("autumn-night", "Night/Autumn", "30 2 * * *", "latest", m[0]) // the time that comes twice: the first
	add("autumn-weekly", "Night/Autumn", fmt.Sprintf("30 2 * * %d", day), "all", m[0])
	add("autumn-both", "Night/Autumn", "30,31 2 * * *", "all", m[0], m[2])

	z.add("Night/Hour", "03:00", "02:00", m, "02:59", "02:00", "02:01")
	add("hour-minutes", "Night/Hour", "* * * * *", "all", m...)
	add("hour-hours", "Night/Hour", "0 * * * *", "latest", m[1]) // 02:00 once more: an hour has passed
	add("hour-two", "Night/Hour", "0 2 * * *", "all")            // an hour ago
	add("hour-three", "Night/Hour", "0 3 * * *", "all")          // in an hour
	add("hour-before", "Night/Hour", "59 2 * * *", "latest", m[0])
	return jobs
}

// TestServeWhileClocksChange lets two real processes live through three real minutes. In their zones the clocks jump
// over an hour at the second, and go back by a minute and by an hour. At the first minute one process is killed at the
// tick, the run made and the tick not noted, while the other sleeps over it; at the second both are killed so, which
// leaves nobody. The runs are exactly those that the clocks on the wall say, and each has done its work.
func TestServeWhileClocksChange(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	first := time.Now().Add(20 * time.Second).Truncate(time.Minute).Add(time.Minute)
	m := []time.Time{first, first.Add(time.Minute), first.Add(2 * time.Minute)}
	dir := t.TempDir()
	n := lab.NewNights(t, 1, changingClocks(t, dir, m), "ZONEINFO="+dir)

	a, b := n.Serve("kill tick.fired 1"), n.Serve("")
	n.Up(a)
	n.Up(b)
	_ = b.Process.Signal(syscall.SIGSTOP)
	n.Dies(a)
	t.Logf("%s after the first minute one process died at the tick", time.Since(m[0]))
	_ = b.Process.Signal(syscall.SIGCONT)
	a = n.Serve("")
	n.Considered(m[0])
	a.Kill()
	b.Kill()

	a, b = n.Serve("kill tick.fired 1"), n.Serve("kill tick.fired 1")
	n.Dies(a)
	n.Dies(b)
	t.Logf("%s after the change both had died at the tick", time.Since(m[1]))
	a, b = n.Serve(""), n.Serve("")
	n.Considered(m[2])
	n.Await("finish their work", func() bool {
		return n.Number("SELECT count(*) FROM runs WHERE verdict IS NULL AND scheduled_for <= $1", m[2]) == 0
	})
	n.Leave(a, b)

	want, got := n.Runs(m[2])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s%s", diff, n.Complaints())
	}
	if bad := n.Number("SELECT count(*) FROM runs WHERE scheduled_for <= $1 AND verdict <> 'complete'", m[2]); bad != 0 {
		t.Errorf("%d runs are not complete", bad)
	}
	// Of two runs of a job that are open at once only one need read the consent.
	if idle := n.Number(`SELECT count(*) FROM (SELECT r.job FROM runs r LEFT JOIN batches b ON b.run_id = r.id LEFT JOIN items i ON i.batch_id = b.id
		GROUP BY 1 HAVING NOT coalesce(bool_or(i.outcome IN ('rows', 'empty')), false)) AS x`); idle != 0 {
		t.Errorf("%d jobs have read nothing", idle)
	}
	n.Verify()
}
