package sbanken

import (
	"fmt"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// BenchmarkDecodeArchivePage is a page of 100 card purchases, about 650 bytes each. The time of json.Valid alone on
// the same page is a useful yardstick: encoding/json takes some five times as long as that to decode it.
func BenchmarkDecodeArchivePage(b *testing.B) {
	var rows []string
	for i := range 100 {
		row := strings.ReplaceAll(strings.ReplaceAll(cardRow, "\n", ""), "337000000000000001", fmt.Sprint(337000000000000001+i))
		rows = append(rows, strings.Replace(row, "2026-01-05", fmt.Sprintf("2026-01-%02d", 5+i/10), 1))
	}
	body := []byte(`{"availableItems":100,"items":[` + strings.Join(rows, ",") + `]}`)
	p := pass{
		settings: paged, cursor: cursor{V: 1}, at: position{List: archive, From: finance.NewDate(2026, 1, 1), To: finance.NewDate(2026, 12, 31)},
		stream: fetch.Stream{Stream: finance.Stream{Account: "A"}, Today: today},
	}
	answer := &fetch.Answer{Body: body}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		page, err := p.decode(answer)
		if err != nil || page.Records.Len() != 100 {
			b.Fatal(err, page.Records.Len(), page.Rejects)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/row")
}
