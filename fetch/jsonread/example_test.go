package jsonread_test

import (
	"fmt"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// A connector reads an answer from front to back. Amounts are exact, and what is no JSON text is an error with its place.
func ExampleScan() {
	s := jsonread.Scan([]byte(`{"debts": [{"id": "f-1", "balance": 12050.70}, {"id": "f-2", "balance": null}]}`))
	for answer := s.Object(); answer.Next(); {
		if answer.Key() != "debts" {
			continue
		}
		for debts := s.Array(); debts.Next(); {
			id, balance := "", finance.Amount{}
			for debt := s.Object(); debt.Next(); {
				switch debt.Key() {
				case "id":
					id = s.Text()
				case "balance":
					balance = s.Amount()
				}
			}
			fmt.Println(id, balance.Valid, balance.Decimal)
		}
	}
	fmt.Println(s.End())
	// Output:
	// f-1 true 12050.7
	// f-2 false 0
	// <nil>
}
