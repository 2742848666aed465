package pause_test

import (
	"fmt"
	"net/http"
	"time"

	"syncer/fetch/pause"
)

// Retry-After comes as seconds or as a date (RFC 9110 10.2.3).
func ExampleParseRetryAfter() {
	now := time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)
	for _, value := range []string{"120", "Sun, 01 Mar 2026 02:45:00 GMT", "soon"} {
		wait, told, invalid := pause.ParseRetryAfter(http.Header{"Retry-After": {value}}, now)
		fmt.Println(wait, told, invalid)
	}
	// Output:
	// 2m0s true false
	// 15m0s true false
	// 0s false true
}
