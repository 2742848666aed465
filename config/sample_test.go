package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/strictyaml"
)

var sampleEnv = envOf(map[string]string{"NG_CLIENT_ID": "a", "NG_CLIENT_SECRET": "b", "SBANKEN_CLIENT_ID": "c", "SBANKEN_CLIENT_SECRET": "d",
	"VIPPS_CLIENT_ID": "e", "VIPPS_CLIENT_SECRET": "f", "DB_CLIENT_ID": "g", "DB_CLIENT_SECRET": "h", "CAMBIO_CLIENT_ID": "i",
	"CAMBIO_CLIENT_SECRET": "j", "CAMBIO_SUBSCRIPTION_KEY": "k", "MY_BANK_CLIENT_ID": "l", "MY_BANK_CLIENT_SECRET": "m"})

func TestSample(t *testing.T) {
	for _, c := range []struct {
		providers         []string
		connections, jobs []string
	}{
		{nil, []string{"ng-preprod", "sbanken"}, []string{"nightly-accounts", "nightly-debt"}},
		{[]string{""}, []string{"ng-preprod", "sbanken"}, []string{"nightly-accounts", "nightly-debt"}},
		{[]string{"norskgjeld"}, []string{"ng-preprod"}, []string{"nightly-debt"}},
		{[]string{"sbanken"}, []string{"sbanken"}, []string{"nightly-accounts"}},
		{[]string{"vipps"}, []string{"vipps-test"}, []string{"nightly-settlements"}},
		{[]string{"dbnordics"}, []string{"db-sandbox"}, []string{"nightly-companies"}},
		{[]string{"cambio"}, []string{"cambio-sandbox"}, []string{"nightly-invoices"}},
		{[]string{"rest"}, []string{"my-bank"}, []string{"nightly-bank"}},
		{[]string{"other"}, nil, nil},
	} {
		text := Sample(c.providers...)
		conf, err := Parse(text, "syncer.yaml", noEnv)
		if err != nil {
			t.Errorf("%v: %v", c.providers, err)
			continue
		}
		if err := conf.CheckSecrets(sampleEnv); err != nil {
			t.Errorf("%v: %v", c.providers, err)
		}
		if diff := cmp.Diff(c.connections, slices.Sorted(maps.Keys(conf.Connections))); diff != "" {
			t.Errorf("%v, want -, got +:\n%s", c.providers, diff)
		}
		if diff := cmp.Diff(c.jobs, slices.Sorted(maps.Keys(conf.Jobs))); diff != "" {
			t.Errorf("%v, want -, got +:\n%s", c.providers, diff)
		}
		if strings.Contains(string(text), "#@") {
			t.Errorf("%v: a marker was left in", c.providers)
		}
	}
}

// TestSampleNamesDefaults holds the sample to its word that what it shows are the defaults.
func TestSampleNamesDefaults(t *testing.T) {
	conf, err := Parse(Sample(), "syncer.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Connections, want.Jobs = map[string]Connection{}, map[string]Job{}
	for name, got := range conf.Connections {
		var c Connection
		c.SetDefaults()
		c.Provider, c.Environment, c.Credentials, c.Rate = got.Provider, got.Environment, got.Credentials, got.Rate
		want.Connections[name] = c
	}
	for name, got := range conf.Jobs {
		var j Job
		j.SetDefaults()
		j.Connection, j.Datasets, j.Schedule, j.TimeZone = got.Connection, got.Datasets, got.Schedule, got.TimeZone
		want.Jobs[name] = j
	}
	if diff := cmp.Diff(want, conf, plainly); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestSampleExplainsEveryKey fails when a key is added to the types and forgotten in the sample.
func TestSampleExplainsEveryKey(t *testing.T) {
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		if strictyaml.IsScalar(typ) || typ == reflect.TypeFor[Settings]() {
			return
		}
		switch typ.Kind() {
		case reflect.Map:
			walk(path, typ.Elem())
		case reflect.Struct:
			for key, field := range strictyaml.Fields(typ) {
				if !strings.Contains(sampleFile, key+":") {
					t.Errorf("the sample doesn't show %s", strictyaml.Join(path, key))
				}
				walk(strictyaml.Join(path, key), typ.FieldByIndex(field.Index).Type)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
}
