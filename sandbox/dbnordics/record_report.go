package dbnordics

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"syncer/sandbox"
)

// The parts of an answer that both countries share. Pointers and slices that are
// nil are left out: so the vendor's documents have it.

type amount struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

type date struct {
	Year  int `json:"year"`
	Month int `json:"month,omitempty"`
	Day   int `json:"day,omitempty"`
}

type report struct {
	// Of the flat form only.
	RegistrationNumber string `json:"registrationNumber,omitempty"`
	Name               string `json:"name,omitempty"`
	DUNS               string `json:"dunsNumber,omitempty"`

	Company       *companyInformation `json:"companyInformation,omitempty"`
	Risk          any                 `json:"risk,omitempty"`
	Events        []event             `json:"events,omitempty"`
	CorrelationID string              `json:"correlationId,omitempty"`
}

type companyInformation struct {
	Identifiers struct {
		RegistrationNumber string `json:"registrationNumber"`
		DUNS               string `json:"dunsNumber"`
	} `json:"identifiers"`
	CompanyName struct {
		RegisteredName struct {
			Name string `json:"name"`
		} `json:"registeredName"`
	} `json:"companyName"`
	LegalForm struct {
		Code      string `json:"code"`
		LocalCode string `json:"localCode"`
	} `json:"legalForm"`
	Status struct {
		Value string `json:"value"`
		Date  date   `json:"date"`
	} `json:"status"`
}

type event struct {
	Date    date   `json:"date"`
	Details string `json:"details"`
}

type creditRatings struct {
	Current    creditRating   `json:"currentCreditRating"`
	Historical []creditRating `json:"historicalCreditRatings"`
}

type creditRating struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Date        date   `json:"date"`
}

type creditLimits struct {
	Current struct {
		Amount amount `json:"amount"`
		Date   date   `json:"date"`
	} `json:"currentRatingCreditLimit"`
}

var ratings = []struct{ code, en, sv, no string }{
	{"AAA", "Highest creditworthiness", "Högsta kreditvärdighet", "Høyeste kredittverdighet"},
	{"AA", "Good creditworthiness", "God kreditvärdighet", "God kredittverdighet"},
	{"A", "Creditworthy", "Kreditvärdig", "Kredittverdig"},
	{"B", "Credit against security", "Kredit mot säkerhet", "Kreditt mot sikkerhet"},
	{"C", "Credit not advised", "Kredit avrådes", "Kreditt frarådes"},
	{"AN", "Newly started", "Nystartat", "Nystartet"},
	{"-", "Not rated", "Ej klassificerad", "Ikke klassifisert"},
}

// subject is a company as it is to be reported: the world's part and what has
// happened to it since.
type subject struct {
	CompanyInfo
	state
	rng        *rand.Rand
	clean      bool
	incomplete bool
	language   string
}

func (s *Simulator) subject(c CompanyInfo, st state, language string) *subject {
	w := s.world
	return &subject{
		CompanyInfo: c, state: st, language: language,
		rng:        sandbox.Rand(w.o.Seed, chanceContent, uint64(c.Index)),
		clean:      w.happens(chanceClean, c.Index, w.o.Clean),
		incomplete: w.happens(chanceIncomplete, c.Index, w.o.Incomplete),
	}
}

// report is the answer for a company, with the segments that were asked for.
func (s *Simulator) report(c *subject, segments []string) report {
	r := report{Company: c.information()}
	wanted := func(segment string) bool {
		for _, one := range segments {
			if one == segment {
				return true
			}
		}
		return len(segments) == 0
	}
	if s.o.FlatSweden && c.Country == "SE" {
		r.RegistrationNumber = c.RegistrationNumber
		r.Name = c.Name
		r.DUNS = c.DUNS
		r.Company = nil
	}
	if wanted("RISK") && c.Country == "SE" {
		r.Risk = s.swedishRisk(c)
	} else if wanted("RISK") {
		r.Risk = s.norwegianRisk(c)
	}
	if wanted("EVENTS") {
		r.Events = []event{{Date: on(s.day(-900)), Details: "Registered"}}
	}
	return r
}

func (c *subject) information() *companyInformation {
	info := &companyInformation{}
	info.Identifiers.RegistrationNumber = c.RegistrationNumber
	info.Identifiers.DUNS = c.DUNS
	info.CompanyName.RegisteredName.Name = c.Name
	info.LegalForm.Code = "LIMITED_COMPANY"
	info.LegalForm.LocalCode = "49"
	if c.SoleTrader {
		info.LegalForm.Code = "SOLE_PROPRIETORSHIP"
		info.LegalForm.LocalCode = "10"
	}
	info.Status.Value = "ACTIVE"
	info.Status.Date = date{2004, 2, 9}
	return info
}

func (s *Simulator) rating(c *subject) (creditRatings, creditLimits) {
	n := c.Index % len(ratings)
	pick := func(i int) (out creditRating) {
		r := ratings[i]
		out.Code = r.code
		out.Description = r.en
		switch c.language {
		case "SV":
			out.Description = r.sv
		case "NO":
			out.Description = r.no
		}
		return out
	}
	current := pick(n)
	current.Date = on(s.day(-30))
	older := pick((n + 1) % len(ratings))
	older.Date = on(s.day(-400))
	var limits creditLimits
	limits.Current.Amount = kroner(50_000*(7-n), c.currency())
	limits.Current.Date = current.Date
	return creditRatings{current, []creditRating{older}}, limits
}

func (c *subject) currency() string {
	if c.Country == "NO" {
		return "NOK"
	}
	return "SEK"
}

// kroner writes whole kroner the way the vendor does: a text without decimals.
func kroner(n int, currency string) amount { return amount{strconv.Itoa(n), currency} }

// ore writes an amount with two decimals.
func ore(n int, currency string) amount {
	return amount{fmt.Sprintf("%d.%02d", n/100, n%100), currency}
}

// day is midnight some days from the world's first day.
func (s *Simulator) day(days int) time.Time {
	y, m, d := s.o.Start.Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, time.UTC)
}

func on(t time.Time) date { return date{t.Year(), int(t.Month()), t.Day()} }
