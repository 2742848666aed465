package cli

import (
	"strings"
	"testing"

	"syncer/persist/consents"
)

// A file without a header begins with a value, which may be a person's number in any form: it is not repeated.
func TestAHeaderThatIsAValueIsNotRepeated(t *testing.T) {
	for _, header := range []string{
		"900101-1234", "9001011234", "010190-12345", "01019012345|C-1", "external_id\r01019012345", "C-1",
	} {
		_, _, err := readHeader(header+",x", 0)
		if err == nil {
			t.Errorf("%q is no header", header)
			continue
		}
		if strings.Contains(err.Error(), "01") || strings.Contains(err.Error(), "C-1") {
			t.Errorf("%q is repeated: %v", header, err)
		}
	}
	if _, _, err := readHeader("external_id,amount", 0); err == nil || !strings.Contains(err.Error(), `"amount"`) {
		t.Errorf("a column that is none: %v", err)
	}
}

// What the store would refuse the whole list for is refused here with its line.
func TestAnIDThatIsANumberIsRefusedWithItsLine(t *testing.T) {
	for _, value := range []string{"150885-12909", "15088512909", "150885 12909", "850815-1290"} {
		for _, column := range []string{"external_id", "renews"} {
			var c consents.Import
			err := setField(&c, column, value, nil)
			if refused := err != nil; refused != consents.IsNationalID(value) {
				t.Errorf("%s %s: %v, and the store says %v", column, value, err, consents.IsNationalID(value))
			}
		}
	}
	var c consents.Import
	if err := setField(&c, "renews", strings.Repeat("x", consents.MaxExternalID+1), nil); err == nil {
		t.Error("an id that is too long to be stored")
	}
}

// What a spreadsheet or a data frame makes of a number, or shows where it has lost a value, is no id.
func TestAnIDThatASpreadsheetHasMadeIsRefused(t *testing.T) {
	for _, value := range []string{"15088512909.0", "7,00001E+11", "12345,00", "#N/A", "#REF!", "#NAME?", "#DIV/0!"} {
		var c consents.Import
		if err := setField(&c, "external_id", value, nil); err == nil {
			t.Errorf("%q is taken for an id", value)
		} else if strings.Contains(err.Error(), "15088512909") {
			t.Errorf("%q is repeated: %v", value, err)
		}
	}
	for _, value := range []string{"C-1.0", "1.5", "1.0", "2026.0", "#1", "v2.0.1"} {
		var c consents.Import
		if err := setField(&c, "external_id", value, nil); err != nil {
			t.Errorf("%q is an id: %v", value, err)
		}
	}
}
