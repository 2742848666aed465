package cambio

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"
	_ "time/tzdata" // the region's clock is Swedish, also in an image without zones

	"syncer/sandbox"
)

// Purposes of the hashes that the world is made from.
const (
	chanceName uint64 = iota + 1
	chanceInvoices
	chanceInvoice
	chanceContacts
	chanceContact
)

// The names are invented.
var (
	families  = []string{"Simlund", "Provberg", "Testander", "Låtsström", "Modellqvist", "Attrappsson"}
	givens    = []string{"Rikard", "Åsa", "Örjan", "Siv", "Tindra", "Malte", "Ebba"}
	providers = []string{"Region Simland", "Region Provköping", "Attrapp Närsjukvård AB"}
	terms     = []string{"30 dagar", "20 dagar netto"}
)

// world makes patients from seed and index, and keeps only what has changed.
type world struct {
	o        Options
	patients sandbox.UUIDs
	zone     *time.Location

	mu      sync.Mutex
	changes map[int]*change
}

func newWorld(o Options) *world {
	zone, err := time.LoadLocation("Europe/Stockholm")
	if err != nil {
		panic("sandbox/cambio: " + err.Error()) // can't be: the zones are linked in
	}
	return &world{o: o, patients: sandbox.UUIDs{Seed: sandbox.Mix(o.Seed, 'P')}, zone: zone, changes: map[int]*change{}}
}

func (w *world) hash(keys ...uint64) uint64 { return sandbox.Mix(w.o.Seed, keys...) }

// patient is seeded patient number i.
func (w *world) patient(i int) PatientInfo {
	p := PatientInfo{
		Personnummer: personnummer(w.o.Seed, i), ID: w.patients.At(i), InternalID: w.internalID(i),
		Family: families[w.hash(chanceName, uint64(i))%uint64(len(families))],
		Given:  givens[w.hash(chanceName, uint64(i), 1)%uint64(len(givens))],
	}
	for _, in := range w.invoices(i) {
		if in.Status == "issued" {
			p.Open++
		}
	}
	return p
}

func (w *world) internalID(i int) string { return strconv.Itoa(40_000 + i) }

// byNumber finds a patient by personal identity number.
func (w *world) byNumber(number string) (int, bool) {
	i, ok := personIndex(w.o.Seed, number)
	return i, ok && i < w.o.Patients
}

// byID finds a patient by the id of the FHIR resource.
func (w *world) byID(id string) (int, bool) {
	i, ok := w.patients.Index(id)
	return i, ok && i < w.o.Patients
}

// size draws a number from 0 to most.
func (w *world) size(most int, keys ...uint64) int {
	if most <= 0 {
		return 0
	}
	return int(w.hash(keys...) % uint64(most+1))
}

// invoice is a FHIR Invoice (R4), in the order of the specification.
type invoice struct {
	ResourceType string         `json:"resourceType"`
	ID           string         `json:"id"`
	Meta         map[string]any `json:"meta"`
	Identifier   []identifier   `json:"identifier"`
	Status       string         `json:"status"`
	Type         any            `json:"type,omitempty"`
	Subject      reference      `json:"subject"`
	Date         string         `json:"date"`
	Issuer       reference      `json:"issuer"`
	LineItem     []any          `json:"lineItem,omitempty"`
	TotalNet     *money         `json:"totalNet,omitempty"`
	TotalGross   *money         `json:"totalGross,omitempty"`
	PaymentTerms string         `json:"paymentTerms,omitempty"`
}

type identifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

type money struct {
	Value    any    `json:"value"`
	Currency string `json:"currency,omitempty"`
}

func (w *world) money(ore uint64) *money {
	text := fmt.Sprintf("%d.%02d", ore/100, ore%100)
	if w.o.MoneyAsText {
		return &money{Value: text, Currency: "SEK"}
	}
	return &money{Value: json.Number(text), Currency: "SEK"}
}

// The states of an invoice: about half are issued.
var states = []string{"issued", "issued", "issued", "issued", "issued", "balanced", "balanced", "balanced", "cancelled", "draft", "entered-in-error"}

// invoices are those of patient i, the newest first.
func (w *world) invoices(i int) []invoice {
	c := w.changed(i)
	out := []invoice{}
	for n := w.size(w.o.MaxInvoices, chanceInvoices, uint64(i)) + c.billed - 1; n >= 0; n-- {
		out = append(out, w.invoice(i, n, n >= w.size(w.o.MaxInvoices, chanceInvoices, uint64(i)), c))
	}
	return out[min(c.gone, len(out)):]
}

func (w *world) invoice(i, n int, billed bool, c change) invoice {
	h := func(k uint64) uint64 { return w.hash(chanceInvoice, uint64(i), uint64(n), k) }
	ids := sandbox.UUIDs{Seed: w.hash('I', uint64(i))}
	at := w.o.Start.AddDate(0, 0, 3*n-200).In(w.zone)
	in := invoice{
		ResourceType: "Invoice", ID: ids.At(n), Status: states[h(1)%uint64(len(states))],
		Meta:       map[string]any{"versionId": "1", "lastUpdated": at.Format("2006-01-02T15:04:05.000-07:00")},
		Identifier: []identifier{{System: "urn:oid:1.2.752.129.2.1.99.1", Value: fmt.Sprintf("F%d-%05d%03d", at.Year(), i, n)}},
		Type:       map[string]any{"text": []string{"Patientavgift", "Hjälpmedel", "Intyg"}[h(2)%3]},
		Subject:    reference{Reference: "Patient/" + w.patients.At(i)},
		Date:       at.Format("2006-01-02"), PaymentTerms: terms[h(3)%2],
		Issuer:   reference{Reference: "Organization/sim-1", Display: providers[h(4)%3]},
		LineItem: []any{map[string]any{"sequence": 1, "chargeItemCodeableConcept": map[string]any{"text": "Besök, simulerat"}}},
	}
	if billed {
		in.Status = "issued"
	}
	if c.paid[in.ID] {
		in.Status = "balanced"
	}
	amount := 5_000 + h(5)%250_000
	in.TotalNet, in.TotalGross = w.money(amount*8/10), w.money(amount)
	return in
}

// local writes a moment as the REST services do: digits, in Swedish time, and no
// zone.
func (w *world) local(t time.Time) string { return t.In(w.zone).Format("20060102150405") }
