// Package rest reads an API that is described rather than programmed: a connection of this provider names a YAML file,
// and the file says where the token comes from, what is asked for, how pages follow each other, where the records stand
// and how their columns are filled. Description has every key with its meaning; examples has two whole ones.
//
// It was made after the likes of it: the paginators of dlt's rest_api, the manifests of Airbyte's low-code CDK and the
// provider list of Nango. What it does otherwise: no expressions and no templates beyond {names}, so that a description
// can be checked before it runs, and every mistake in it is told at once with its place; a list never ends with a short
// page, since servers cap pages; a list that moved while it was read is read again; a shape that has changed is an error
// and never an empty answer; and amounts are the digits of the answer.
//
// Files of its own, since there is no file a dataset here but one for each thing that a description can say:
//   - the YAML: description.go, fields.go, short.go and examples.go;
//   - whether it holds: parse.go, validate.go, validate_dataset.go, validate_reading.go, validate_pages.go,
//     validate_column.go, validate_rules.go and notes.go;
//   - what reads, made of it: compile.go, template.go, column.go, shape.go, scalar.go, decimal.go, balances.go and wait.go;
//   - the way through a list: window.go, pages.go, next.go, links.go, linkheader.go and ends.go.
package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/files"
	"syncer/finance"
)

// Settings are the connection's own settings.
type Settings struct {
	// Description is the YAML file that describes the API, relative to the configuration's folder.
	Description string `yaml:"description" doc:"YAML file that describes the API, relative to this file" jsonschema:"required"`
}

// Provider is the entry for the program's list of providers. Which datasets there are, the description decides.
func Provider() fetch.Provider {
	return fetch.Provider{
		Name:       "rest",
		Title:      "REST API by description",
		Datasets:   []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts},
		DatasetsOf: datasetsOf,
		// {subject} may stand in headers and bodies
		SubjectInCalls: true,
		Settings:       func() any { return &Settings{} },
		Zone:           calendar,
		Open:           open,
	}
}

// longestDescription bounds a description; what is larger is certainly another file.
const longestDescription = 1 << 20

// read reads the description that a connection names.
func read(c fetch.Connection) (d *Description, text []byte, path string, err error) {
	settings, ok := c.Settings.(*Settings)
	if !ok || settings.Description == "" {
		return nil, nil, "", errors.New("settings: description is missing: name the YAML file that describes the API")
	}
	path = settings.Description
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	if text, err = files.Read(path, longestDescription); err != nil {
		return nil, nil, path, fmt.Errorf("settings.description: %w", err)
	}
	d, err = Parse(text, path)
	return d, text, path, err
}

// calendar is the time_zone of a connection's description.
func calendar(c fetch.Connection) (*time.Location, error) {
	d, _, _, err := read(c)
	if err != nil {
		return nil, err
	}
	return zoneOf(d.TimeZone)
}

// datasetsOf are the datasets that a connection's description describes.
func datasetsOf(c fetch.Connection) (list []finance.Dataset, err error) {
	d, _, _, err := read(c)
	if err != nil {
		return nil, err
	}
	if d.Datasets.Accounts != nil {
		list = append(list, finance.Accounts)
	}
	if d.Datasets.Transactions != nil {
		list = append(list, finance.Transactions)
	}
	if d.Datasets.Debt != nil {
		list = append(list, finance.Debts)
	}
	return list, nil
}

func open(c fetch.Connection) (fetch.Driver, error) {
	d, text, path, err := read(c)
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: %w", c.Name, err)
	}
	driver, err := d.driver(c, text, filepath.Base(path))
	if err != nil {
		return fetch.Driver{}, fmt.Errorf("connection %s: %w", c.Name, err)
	}
	return driver, nil
}

func (d *Description) driver(c fetch.Connection, text []byte, file string) (fetch.Driver, error) {
	if err := d.checkCredentials(c.Credentials); err != nil {
		return fetch.Driver{}, err
	}
	a := &api{Description: d, file: file, connection: c.Name, headers: http.Header{}}
	var err error
	if a.base, err = overridden(strings.TrimSuffix(d.BaseURL, "/"), strings.TrimSuffix(c.BaseURL, "/")); err != nil {
		return fetch.Driver{}, fmt.Errorf("base_url: %w", err)
	}
	a.version = versionOf(text)
	if a.readings, err = compile(d, a.version); err != nil {
		return fetch.Driver{}, err
	}
	secret := map[string]fetch.Secret{}
	for name, h := range d.Headers {
		if h.Credential != "" {
			secret[name] = c.Credentials[h.Credential]
		} else {
			a.headers.Set(name, h.Value)
		}
	}
	a.faults = newFaults(d, a.readings)
	driver := fetch.Driver{
		Base: a.base, Rate: float64(d.Rate.PerSecond + d.Rate.PerMinute/60), Classify: a.faults.classify, Notes: a.notes(),
		Alone:   d.Errors.alone(),
		Header:  secret,
		Connect: func(client *fetch.Client) fetch.Connector { return newConnector(client, a) },
	}
	if d.Token.Dialect == "none" {
		return driver, nil
	}
	ask, err := d.token(c)
	driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) { return ask, nil }
	return driver, err
}

// dialects are how a client proves itself.
var dialects = map[string]fetch.TokenStyle{
	"basic_escaped": fetch.BasicEscaped, "basic_raw": fetch.BasicRaw, "in_params": fetch.InParams, "in_headers": fetch.InHeaders,
}

// token is how a token is asked for.
func (d *Description) token(c fetch.Connection) (fetch.TokenRequest, error) {
	u, err := overridden(d.Token.URL, c.AuthURL)
	if err != nil {
		return fetch.TokenRequest{}, fmt.Errorf("auth_url: %w", err)
	}
	ask := fetch.TokenRequest{
		URL: u.String(), Style: dialects[d.Token.Dialect], Scopes: d.Token.Scopes,
		Params: map[string][]string{}, Header: map[string]fetch.Secret{},
	}
	if ask.Style != fetch.InHeaders {
		ask.ID = c.Credentials[clientID].Reveal()
		ask.Secret = c.Credentials[clientSecret]
	}
	for name, value := range d.Token.Params {
		ask.Params[name] = []string{value}
	}
	if d.Token.Audience != "" {
		ask.Params["audience"] = []string{d.Token.Audience}
	}
	for name, credential := range d.Token.Headers {
		ask.Header[name] = c.Credentials[credential]
	}
	return ask, nil
}

// Credentials that the token dialects know by name.
const (
	clientID     = "client_id"
	clientSecret = "client_secret"
)

// checkCredentials names every credential that the description needs and the connection hasn't.
func (d *Description) checkCredentials(have map[string]fetch.Secret) error {
	need := map[string]string{}
	if d.Token.Dialect != "none" && d.Token.Dialect != "in_headers" {
		need[clientID], need[clientSecret] = "token", "token"
	}
	for name, credential := range d.Token.Headers {
		need[credential] = "token.headers." + name
	}
	for name, h := range d.Headers {
		if h.Credential != "" {
			need[h.Credential] = "headers." + name
		}
	}
	var missing []string
	for name, where := range need {
		if have[name].IsZero() {
			missing = append(missing, fmt.Sprintf("credentials: %s is needed for %s of the description", name, where))
		}
	}
	slices.Sort(missing)
	if len(missing) == 0 {
		return nil
	}
	return errors.New(strings.Join(missing, "; "))
}

// overridden is the description's address, or that of the connection. One without a path, such as that of a simulator,
// keeps the description's path. A slash at the end stays: some token endpoints answer only with it, others only without.
func overridden(described, connection string) (*url.URL, error) {
	u, err := url.Parse(described)
	if err != nil || connection == "" {
		return u, err
	}
	over, err := url.Parse(connection)
	if err != nil || over.Host == "" {
		return nil, errors.New("not a URL")
	}
	if over.Path == "" || over.Path == "/" {
		over.Path = u.Path
		over.RawPath = u.RawPath
	}
	return over, nil
}
