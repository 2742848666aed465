package finance

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash is 128 bits of the SHA-256 of a record's content: every column that a provider's answer fills, and Extra, but
// not where the record stood or when it was reported. Two records with the same Hash are the same row.
type Hash [16]byte

// HashOf is the Hash of a text, for what is known by its bytes.
func HashOf(text string) Hash {
	sum := sha256.Sum256([]byte(text))
	return Hash(sum[:16])
}

// hasher builds the bytes that are hashed. Each field is written with its length, so that ("ab","c") and ("a","bc")
// differ. It is used by one goroutine and keeps its buffer between records.
type hasher struct{ b []byte }

func (h *hasher) str(s string) {
	h.b = binary.AppendUvarint(h.b, uint64(len(s)))
	h.b = append(h.b, s...)
}

func (h *hasher) num(n int64) { h.b = binary.AppendVarint(h.b, n) }

func (h *hasher) amount(a Amount) {
	if !a.Valid {
		h.b = append(h.b, 0)
		return
	}
	d := a.Decimal
	h.b = append(h.b, 1, byte(d.Scale()), byte(d.Sign()+1))
	h.b = binary.AppendUvarint(h.b, d.Coef())
}

func (h *hasher) sum() Hash {
	s := sha256.Sum256(h.b)
	h.b = h.b[:0]
	return Hash(s[:16])
}

// Hasher computes the content hashes of records. The zero value is ready; it is not safe for concurrent use.
type Hasher struct{ h hasher }

// Account is the content hash of a.
func (x *Hasher) Account(a *Account) Hash {
	h := &x.h
	h.str(a.Number)
	h.str(a.Name)
	h.str(a.Kind)
	h.str(a.Currency)
	h.str(string(a.Extra))
	return h.sum()
}

// Balance is the content hash of b.
func (x *Hasher) Balance(b *Balance) Hash {
	h := &x.h
	h.amount(b.Amount)
	h.str(b.Currency)
	return h.sum()
}

// Transaction is the content hash of t.
func (x *Hasher) Transaction(t *Transaction) Hash {
	h := &x.h
	h.str(t.Status)
	h.num(int64(t.BookedOn))
	h.num(int64(t.ValueOn))
	h.amount(t.Amount)
	h.str(t.Currency)
	h.str(t.Text)
	h.str(t.Kind)
	h.str(t.Code)
	h.str(t.CounterpartyAccount)
	h.str(t.CounterpartyName)
	h.str(t.Reference)
	h.str(t.MerchantName)
	h.str(t.MerchantCategory)
	h.num(int64(t.PurchasedOn))
	h.amount(t.OriginalAmount)
	h.str(t.OriginalCurrency)
	h.amount(t.ExchangeRate)
	h.str(string(t.Extra))
	return h.sum()
}

// Debt is the content hash of d.
func (x *Hasher) Debt(d *Debt) Hash {
	h := &x.h
	h.str(d.Creditor)
	h.str(d.Kind)
	h.str(d.Currency)
	h.amount(d.Balance)
	h.amount(d.OriginalBalance)
	h.amount(d.CreditLimit)
	h.amount(d.InterestBearing)
	h.amount(d.NonInterestBearing)
	h.amount(d.NominalRate)
	h.amount(d.InstallmentCharges)
	h.str(d.InstallmentPeriod)
	h.num(int64(d.TermsLeft))
	h.num(int64(d.CoBorrower))
	h.str(string(d.Extra))
	return h.sum()
}
