package fetch_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
)

// A connector or a reader that panics fails its item, and the process lives on: the memory of the answer in hand comes back. An
// answer that is larger than all of it, which goes alone, would wait for that otherwise.
func TestAPanicGivesItsMemoryBack(t *testing.T) {
	const budget = 4000
	p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
		body := "b"
		if strings.HasSuffix(r.URL.Path, "large") {
			body = strings.Repeat("x", budget)
		}
		fmt.Fprint(w, body)
	}}
	panics := map[string]func(*fetch.Client){
		"in a step": func(c *fetch.Client) {
			asked := 0
			step := follow(false, nil)
			for range c.Walk(t.Context(), fetch.Stream{}, "a", func(at fetch.At) (fetch.Step, error) {
				if asked++; asked > 1 {
					panic("a connector's fault")
				}
				st, err := step(at)
				st.PositionName = "a"
				return st, err
			}) {
				t.Error("a page was given")
			}
		},
		"in its reader": func(c *fetch.Client) {
			for range c.Walk(t.Context(), fetch.Stream{}, "a", follow(false, nil)) {
				panic("a reader's fault")
			}
		},
	}
	for name, run := range panics {
		t.Run(name, func(t *testing.T) {
			o := options(t, served(t, p), fetchtest.NewCallStore())
			o.Memory = fetch.NewMemory(budget)
			o.Memory.Patience = time.Hour
			c := client(t, o)
			func() {
				defer func() {
					if recover() == nil {
						t.Error("nothing has panicked")
					}
				}()
				run(c)
			}()
			within, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := c.Do(within, get("large")); err != nil {
				t.Errorf("the next answer waits for memory that nobody has: %v", err)
			}
		})
	}
}
