package resume

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/proof/lab"
	"syncer/sandbox/norskgjeld"
)

// TestRenewalsSurviveKills renews all consents before their end, and kills the real program while they are taken up and
// answered. The tables are those of consents that had the new ids from the beginning, and nobody is called under the old
// id after a good answer under the new one: the registry does not know the old ids, and would say so.
func TestRenewalsSurviveKills(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	const consents = 24
	world := func() *lab.Lab {
		return lab.New(t, lab.Options{
			NG:          norskgjeld.Options{Consents: consents, DebtFree: 0.1, Start: time.Now().Add(-time.Hour)},
			Concurrency: 2, Batches: 1, BatchSize: 6, Lease: "1s",
		})
	}
	peace := world()
	peace.ImportNG("ng1", 0, consents)
	peace.Says(0, []string{"run", "debt1"})

	l := world()
	var old, renewed strings.Builder
	old.WriteString("external_id,national_id,scopes\n")
	renewed.WriteString("external_id,renews,national_id,scopes,valid_until\n")
	for i := range consents {
		c := l.NG.Consent(i)
		fmt.Fprintf(&old, "old-%d,%s,%s\n", i, c.NationalID, c.Scope)
		fmt.Fprintf(&renewed, "%s,old-%d,%s,%s,%s\n", c.ID, i, c.NationalID, c.Scope, c.ValidUntil.UTC().Format(time.RFC3339))
	}
	l.ImportCSV("ng1", old.String())
	l.ImportCSV("ng1", renewed.String())
	for i, point := range []string{"renewed.tried", "renewed.answered", "commit.ready", "commit.done", "item.deciding"} {
		p := l.Start([]string{fmt.Sprintf("%s=kill %s %d", lab.StepEnv, point, 1+i%3)}, "run", "debt1")
		<-p.Ended
		if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("at %s nothing was killed: exit code %d", point, p.ProcessState.ExitCode())
		}
	}
	l.Says(0, []string{"run", "debt1"})
	if diff := cmp.Diff(lab.Content(t, peace.DB), lab.Content(t, l.DB)); diff != "" {
		t.Errorf("the tables differ (-new from the beginning +renewed):\n%.4000s", diff)
	}
	for subject, n := range l.Arrivals(0) {
		if strings.HasPrefix(subject, "old-") {
			t.Errorf("%s was called %d times", subject, n)
		}
	}
	if n := l.Number("SELECT count(*) FROM renewals WHERE state = 'done'"); n != consents {
		t.Errorf("%d of %d renewals are done", n, consents)
	}
	l.Verify()
}
