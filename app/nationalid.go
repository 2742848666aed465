package app

import (
	"errors"
	"strings"

	"syncer/finance"
)

// NormalNationalID makes one form of a national identity number, since its HMAC is compared: without the spaces that
// people write between date and number, and without the sign in a Swedish number that names its century.
func NormalNationalID(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), " ", "")
	if digits, ok := finance.FullPersonnummer(s); ok {
		return digits
	}
	return s
}

// CheckNationalID says what is wrong with a national identity number in its normal form, Norwegian or Swedish, without
// repeating any of it.
func CheckNationalID(s string) error {
	switch digits := strings.Trim(s, "0123456789") == ""; {
	case finance.IsNationalID(s):
		return nil
	case finance.IsPersonnummer(s):
		if len(s) == 12 {
			return nil
		}
		return errors.New("the national id is a Swedish personnummer without its century: write YYYYMMDDNNNN")
	case digits && (len(s) == 11 || len(s) == 12):
		return errors.New("the national id's date or check digits are wrong")
	}
	return errors.New("the national id is not eleven digits (Norwegian) or twelve (Swedish)")
}
