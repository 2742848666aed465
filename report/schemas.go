package report

import _ "embed"

// The schemas are made by
//
//go:generate go test syncer/cmd/syncer -run TestSchemasAreCurrent -update
var (
	//go:embed schemas/config.json
	configSchema []byte
	//go:embed schemas/description.json
	descriptionSchema []byte
)

// ConfigSchema is the JSON schema of the configuration file, with the settings of every provider.
func ConfigSchema() []byte { return configSchema }

// DescriptionSchema is the JSON schema of the file that describes an API for provider rest.
func DescriptionSchema() []byte { return descriptionSchema }
