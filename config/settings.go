package config

import "syncer/strictyaml"

// Settings is the part of a connection that only its provider understands. It is kept as it stands in the
// file until Connection.DecodeSettings reads it into the provider's struct.
type Settings = strictyaml.Later

// DecodeSettings reads the connection's settings into the struct that into points at, as strictly as the rest
// of the file: every unknown key and every value that doesn't fit is reported with its place. What the file
// doesn't mention keeps the value it has, so defaults are set beforehand. Fields are named by their yaml tag and
// may be strings, booleans, numbers, time.Duration, types with UnmarshalText, and structs, lists and maps of these.
func (c Connection) DecodeSettings(into any) error { return c.Settings.Bind(into) }
