package main

import (
	"errors"
	"strings"

	"syncer/finance"
)

// normalNationalID takes the spaces out that people write between date and number.
func normalNationalID(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), " ", "") }

// checkNationalID says what is wrong with a national identity number, without repeating any of it.
func checkNationalID(s string) error {
	switch {
	case len(s) != 11 || strings.Trim(s, "0123456789") != "":
		return errors.New("the national id is not eleven digits")
	case !finance.IsNationalID(s):
		return errors.New("the national id's date or check digits are wrong")
	}
	return nil
}
