package dbnordics

import (
	"fmt"
	"time"
)

type norwegianRisk struct {
	CreditRatings  creditRatings     `json:"creditRatings"`
	CreditLimits   creditLimits      `json:"creditLimits"`
	PaymentRemarks *norwegianRemarks `json:"paymentRemarks,omitempty"`
}

type norwegianRemarks struct {
	Groups    []incident     `json:"paymentRemarksGroups"`
	Voluntary []registration `json:"voluntaryRegistrations,omitempty"`
}

// incident is a group of remarks about one thing, newest state first.
type incident struct {
	States []incidentState `json:"paymentRemarks"`
}

// norwegianAmount holds one of the two.
type norwegianAmount struct {
	Monetary   *amount `json:"monetaryAmount,omitempty"`
	Percentage string  `json:"percentage,omitempty"`
}

type incidentState struct {
	Amount    norwegianAmount `json:"amount"`
	Date      date            `json:"date"`
	Creditor  string          `json:"creditor"`
	Type      string          `json:"type"`
	Source    string          `json:"source"`
	Reference string          `json:"reference,omitempty"`
	DueDate   *date           `json:"dueDate,omitempty"`
}

type registration struct {
	Amount      norwegianAmount `json:"amount"`
	Date        date            `json:"date"`
	Creditor    string          `json:"creditor"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	DiaryNumber string          `json:"diaryNumber"`
}

var (
	norwegianCreditors = []string{"FJELLSTRØM AS", "PRØVEINKASSO AS", "SKATTEETATEN", "HAVØYA KRAFT AS", "EKSEMPELBANK ASA"}
	incidentTypes      = []string{"DEBT_COLLECTION", "COURT_JUDGEMENT", "DISTRAINT_2", "NOTHING_FOR_DISTRAINT", "SIMULATED_NEW_TYPE"}
	registrationTypes  = []string{"LEASING_AGREEMENT", "SECURITY_IN_EQUIPMENT", "OTHER"}
)

func (s *Simulator) norwegianRisk(c *subject) norwegianRisk {
	r := norwegianRisk{}
	r.CreditRatings, r.CreditLimits = s.rating(c)
	list := norwegianRemarks{Groups: []incident{}}
	if !c.clean {
		for i := range 1 + c.rng.IntN(4) {
			list.Groups = append(list.Groups, s.incident(c, i))
		}
		for i := range c.rng.IntN(3) {
			list.Voluntary = append(list.Voluntary, s.registration(c, i))
		}
	}
	if c.advanced > 0 && len(list.Groups) > 0 {
		first := &list.Groups[0]
		for range c.advanced {
			first.States = append([]incidentState{next(first.States[0])}, first.States...)
		}
	}
	list.Groups = list.Groups[:max(0, len(list.Groups)-c.settled)]
	if c.incomplete {
		list.Voluntary = nil
	}
	if len(list.Groups) > 0 || len(list.Voluntary) > 0 || !s.o.OmitEmpty {
		r.PaymentRemarks = &list
	}
	return r
}

func (s *Simulator) incident(c *subject, i int) incident {
	sum := kroner(1_000+c.rng.IntN(90_000), "NOK")
	due := on(s.day(-200 - i*9))
	first := incidentState{
		Amount: norwegianAmount{Monetary: &sum}, Date: on(s.day(-120 - i*9)), Type: incidentTypes[0], DueDate: &due,
		Creditor: norwegianCreditors[c.rng.IntN(len(norwegianCreditors))], Source: "SVIPTIK INKASSO AS",
	}
	if i%2 == 0 {
		first.Reference = fmt.Sprintf("R%d-%d", c.Index, i)
	}
	out := incident{[]incidentState{first}}
	for range c.rng.IntN(3) {
		out.States = append([]incidentState{next(out.States[0])}, out.States...)
	}
	if i == 2 { // a deduction from a salary: a percentage, no sum
		out.States[0].Amount = norwegianAmount{Percentage: "12.5"}
		out.States[0].Type = "DEBT_COLLECTION_WITH_PERCENT_DEDUCTION_IN_SALARY"
	}
	return out
}

// next is the state that follows a state, three weeks on.
func next(last incidentState) incidentState {
	after := last
	after.Date = on(time.Date(last.Date.Year, time.Month(last.Date.Month), last.Date.Day+21, 0, 0, 0, 0, time.UTC))
	for i, one := range incidentTypes {
		if one == last.Type {
			after.Type = incidentTypes[(i+1)%len(incidentTypes)]
		}
	}
	return after
}

func (s *Simulator) registration(c *subject, i int) registration {
	sum := kroner(50_000*(1+c.rng.IntN(40)), "NOK")
	return registration{
		Amount: norwegianAmount{Monetary: &sum}, Date: on(s.day(-700 - i*30)), Creditor: norwegianCreditors[4],
		Type: registrationTypes[c.rng.IntN(len(registrationTypes))], Source: "LØSØREREGISTERET",
		DiaryNumber: fmt.Sprintf("2024%06d", c.rng.IntN(1_000_000)),
	}
}
