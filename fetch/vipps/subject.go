package vipps

import (
	"fmt"
	"strings"

	"syncer/finance"
)

const apiHandle = "api:"

// recipient is whom a consent is for, in the API's form: api:700001 for a sales unit, NO:57860 for a VM-number. A
// consent may name the MSN alone. Eleven digits can be a person's number and are never sent.
func recipient(c *finance.Consent) (string, error) {
	scheme, number, ok := strings.Cut(c.ExternalID, ":")
	if !ok {
		scheme = strings.TrimSuffix(apiHandle, ":")
		number = c.ExternalID
	}
	if !isNumber(number) || scheme == "" || strings.ContainsFunc(scheme, func(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') }) {
		return "", fmt.Errorf("the consent's external id is no recipient: write an MSN such as 700001, or api:700001, or NO:57860")
	}
	return scheme + ":" + number, nil
}

// isNumber says whether a text is a serial number: documents say four to six digits, and longer ones exist.
func isNumber(s string) bool {
	return s != "" && len(s) <= 10 && strings.Trim(s, "0123456789") == ""
}
