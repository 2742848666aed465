package finance

import "encoding/hex"

// CallID names one HTTP attempt. It is a UUID of version 7 (RFC 9562), so ids sort by the time they were made, and
// it is the request id that the provider sees.
type CallID [16]byte

// String is the canonical 36-character form.
func (id CallID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return string(b[:])
}

// MarshalText writes the canonical form.
func (id CallID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// IsZero says that there is no call.
func (id CallID) IsZero() bool { return id == CallID{} }
