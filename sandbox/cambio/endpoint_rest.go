package cambio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"syncer/sandbox"
)

const (
	recordRoot = "1.2.752.129.2.1.2.1"
	personRoot = "1.2.752.129.2.1.3.1"
	unitRoot   = "1.2.752.129.2.1.4.1"
	system     = "SE999999000001-Sim_U"
)

// restService is one of the COSMIC services.
type restService struct {
	resource string // of the scope
	serve    func(*Simulator, http.ResponseWriter, *http.Request, int)
}

var restServices = map[string]restService{
	"patient":         {"Patient", (*Simulator).servePatient},
	"contacts":        {"Contact", (*Simulator).serveContacts},
	"appointments":    {"Appointment", (*Simulator).serveAppointments},
	"journalnotes v1": {"JournalNote", (*Simulator).serveNotes},
}

// serveREST checks the scope, then whom the call is about. The header patient is
// marked required for contacts; a token of the patient's own needs none.
func (s *Simulator) serveREST(w http.ResponseWriter, r *http.Request, name string, grant sandbox.Grant) {
	service := restServices[name]
	verb := "read"
	if r.Method == http.MethodPut {
		verb = "write"
	}
	if !allows(grant.Scope, service.resource, verb) {
		s.apim(w, http.StatusForbidden, "Insufficient scope.")
		return
	}
	number := r.Header.Get("patient")
	if number == "" {
		number = grant.Subject
	}
	i, known := s.world.byNumber(number)
	switch {
	case number == "":
		s.cosmic(w, r, http.StatusBadRequest, "Missing required header: patient")
	case grant.Subject != "" && grant.Subject != number:
		s.cosmic(w, r, http.StatusForbidden, "The user has no access to patient "+number)
	case known && s.world.changed(i).closed:
		s.cosmic(w, r, http.StatusForbidden, "The record of patient "+number+" is blocked")
	case !known:
		s.cosmic(w, r, http.StatusNotFound, "No patient found for "+number)
	default:
		if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
			i = (i + 1) % s.o.Patients
		}
		service.serve(s, w, r, i)
	}
}

type obj = map[string]any

func ii(root, extension string) obj { return obj{"root": root, "extension": extension} }

func ts(text string) obj { return obj{"value": text} }

// extract is the head that every record has.
func (s *Simulator) extract(i int, made time.Time, members obj) obj {
	if s.o.FreshTimeCreated {
		made = s.o.Kit.Clock.Now()
	}
	members["ehrId"] = ii(recordRoot, system+":EhrId:"+personnummer(s.o.Seed, i))
	members["ehrSystem"] = ii(recordRoot, system)
	members["timeCreated"] = ts(s.world.local(made))
	return members
}

// servePatient mixes cases as the real description does: addresses and e-mail
// keep their capital letters.
func (s *Simulator) servePatient(w http.ResponseWriter, _ *http.Request, i int) {
	p := s.world.patient(i)
	record := s.extract(i, s.o.Start, obj{
		"patient": obj{
			"patientID": ii(personRoot, p.Personnummer), "patientInternalID": p.InternalID, "patientProtectedId": false,
			"patientSecrecyGroups": []any{},
			"patientName":          obj{"familyName": p.Family, "middleName": "", "givenName": []any{obj{"qualifier": "CL", "value": p.Given}}},
			"patientBirthDate":     ts(p.Personnummer[:8]), "patientSex": "U",
			"patientAddresses": []any{obj{"PatientAddressType": "Folkbokforing", "PatientAddressStreet": "Simgatan 1",
				"PatientAddressPostcode": "58222", "PatientAddressCity": "LINKOPING", "PatientAddressCountry": "Sverige"}},
			"phoneNumbers":   obj{"phone": []any{obj{"phoneType": "Mobil", "phoneNumber": "0701740605", "phoneComment": ""}}},
			"emailAddresses": obj{"Email": []any{obj{"EmailType": "Hem", "EmailAddress": "sim@example.test"}}},
		},
		"responsibleUnit": obj{"unitID": ii(unitRoot, "SE9999-U1"), "unitLocalID": ii("LocalUnitOID", "1253")},
	})
	writeJSON(w, plainJSON, http.StatusOK, []any{obj{"patientEHRExtract": []any{record}}})
}

var fees = []string{"0", "", "100", "200", "300", "250.50", "300.00", "0.00"}

// serveContacts lists the care contacts, the newest first, between two moments
// in local time without a zone.
func (s *Simulator) serveContacts(w http.ResponseWriter, r *http.Request, i int) {
	from, badFrom := s.moment(r, "fromDateTime", time.Time{})
	to, badTo := s.moment(r, "toDateTime", s.o.Kit.Clock.Now().AddDate(10, 0, 0))
	if badFrom != nil || badTo != nil {
		s.cosmic(w, r, http.StatusBadRequest, "Invalid date: use yyyy-MM-ddTHH:mm:ss")
		return
	}
	out := []any{}
	for n := range s.world.size(s.o.MaxContacts, chanceContacts, uint64(i)) {
		begin := s.o.Start.AddDate(0, 0, -9*n-1)
		if !begin.Before(from) && !begin.After(to) {
			out = append(out, obj{"contactEHRExtract": []any{s.contact(i, n, begin)}})
		}
	}
	writeJSON(w, plainJSON, http.StatusOK, out)
}

func (s *Simulator) moment(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	return time.ParseInLocation("2006-01-02T15:04:05", text, s.world.zone)
}

func (s *Simulator) contact(i, n int, begin time.Time) obj {
	h := s.world.hash(chanceContact, uint64(i), uint64(n))
	fee := fees[h%uint64(len(fees))]
	if raised := s.world.changed(i).raised; n == 0 && raised > 0 {
		fee = strconv.Itoa(50 * raised)
	}
	id := strconv.Itoa(700_000 + i*1000 + n)
	return s.extract(i, begin, obj{
		"contact": obj{
			"rcId": ii(recordRoot, system+":RcId:Contact:"+id), "contactInternalID": id,
			"contactTypeOfVisit": "Återbesök", "contactVisitType": "Mottagningsbesök", "contactStatus": "Avslutad",
			"contactStatusConfigurationId": "4", "contactActive": h%11 != 0, "contactPatientFee": fee,
			"contactBeginDateTime": ts(s.world.local(begin)), "contactEndDateTime": ts(s.world.local(begin.Add(30 * time.Minute))),
			"actions": obj{"action": []any{}}, "discharge": nil,
		},
		"patient":                     obj{"patientID": ii(personRoot, personnummer(s.o.Seed, i))},
		"contactPerformingUnit":       obj{"unitID": ii(unitRoot, "SE9999-U7"), "unitName": "Simmottagningen"},
		"contactHeadCareProviderUnit": obj{"unitID": ii(unitRoot, "SE9999"), "unitName": providers[h>>8%3]},
		"careProviders":               []any{},
	})
}

// serveAppointments answers in capital letters. A PUT that can't be done is a
// 200 whose ResultCode is ERROR.
func (s *Simulator) serveAppointments(w http.ResponseWriter, r *http.Request, i int) {
	p := s.world.patient(i)
	if r.Method != http.MethodPut {
		writeJSON(w, plainJSON, http.StatusOK, []any{obj{
			"Booking": []any{obj{"ContactId": "c-" + p.InternalID, "StartTime": s.world.local(s.o.Start.AddDate(0, 0, 7)),
				"PaymentDetails": obj{"Price": 200, "Reduction": 0, "ReductionReason": ""}, "Any": []any{}}},
			"RegisteredBooking": []any{},
			"Patient":           obj{"Name": p.Given + " " + p.Family, "PersonNumbers": []any{obj{"Number": p.Personnummer, "Type": obj{"Id": "1", "Name": "Personnummer"}}}},
			"ResultCode":        "OK", "Comment": "", "Any": []any{},
		}})
		return
	}
	var body struct {
		Status string `json:"status"`
	}
	result := "OK"
	comment := ""
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body) != nil || body.Status != "arrived" || r.URL.Query().Get("id") != "c-"+p.InternalID {
		result = "ERROR"
		comment = "The appointment could not be set arrived"
	}
	writeJSON(w, plainJSON, http.StatusOK, obj{"ResultCode": result, "Comment": comment, "Any": []any{}})
}

// serveNotes is version 1: capital letters, a version beside the records, and
// the spelling mistake of the original.
func (s *Simulator) serveNotes(w http.ResponseWriter, _ *http.Request, i int) {
	at := s.world.local(s.o.Start.AddDate(0, 0, -30))
	writeJSON(w, plainJSON, http.StatusOK, []any{obj{
		"XSDVersion": obj{"version": json.Number("0.21")},
		"JournalNoteEHRExtract": []any{obj{
			"ehr_id": ii(recordRoot, system+":EhrId:"+personnummer(s.o.Seed, i)), "ehr_system": ii(recordRoot, system),
			"HCMContact": obj{"HCMContacInternaltID": fmt.Sprint(700_000 + i*1000), "HCMContactBegin": ts(at)},
			"Note":       obj{"NoteId": ii(recordRoot, system+":RcId:Note:1"), "NoteTemplateName": "Simulerad", "NoteActive": true, "NoteDateTime": ts(at)},
		}},
	}})
}
