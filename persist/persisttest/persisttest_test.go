package persisttest

import "testing"

func TestSmoke(t *testing.T) {
	db := NewDatabase(t)
	var n int
	if err := db.Pool.QueryRow(t.Context(), "select count(*) from consents").Scan(&n); err != nil {
		t.Fatal(err)
	}
}
