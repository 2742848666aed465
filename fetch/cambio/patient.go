package cambio

import (
	"errors"
	"slices"

	"syncer/fetch"
)

// decodePatient reads the answer to the look for a patient and gives the FHIR server's id, empty if it knows none. An
// answer that shows anybody else is refused.
func decodePatient(body []byte, number string) (id string, err error) {
	s := fetch.Scan(body)
	var b bundle
	var extra fetch.Extra // thrown away: a name and an address are nobody's debt
	var found []string
	foreign := false
	err = readBundle(s, &b, func() {
		for a := s.Array(); a.Next(); {
			e := readEntry(s, &extra)
			extra.Reset()
			if e.kind != "Patient" || e.mode == "include" || s.Err() != nil {
				continue
			}
			foreign = foreign || !slices.ContainsFunc(e.identifiers, func(i string) bool { return isNumber(i, number) })
			found = append(found, e.id)
		}
	})
	switch {
	case err != nil:
		return "", err
	case foreign:
		return "", fetch.WrongSubject("the answer shows a patient who has not the consent's personnummer")
	case len(found) > 1 || b.next != "":
		return "", errors.New("more than one patient has the consent's personnummer: the provider has to merge them")
	case len(found) == 0:
		return "", nil
	case !resourceID.MatchString(found[0]):
		return "", errors.New("the patient has no id that can be asked for")
	case holdsNumber(found[0], number):
		return "", errors.New("the provider's id of the patient is the personnummer, which may stand in no cursor")
	}
	return found[0], nil
}
