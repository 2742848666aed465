package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch/wire"
)

// Options is everything a Client is made of. Zero values of numbers and durations mean the default named beside them.
type Options struct {
	Connection Connection
	Driver     Driver

	Rate        float64       // calls a second to each bucket; 0: the driver's, and if that is 0 too, no limit
	Quota       calls.Quota   // of calls a day to each bucket
	Concurrency int           // calls of this process on the wire at a time; default 4
	MaxInFlight int           // calls of all processes on the wire at a time; 0: no limit. It needs Flights
	Timeout     time.Duration // of one attempt, from the dial to the last byte, without any waiting; default 60 s
	Retry       Retry
	MaxWait     time.Duration // a gate closed for longer is not waited out: Do gives Throttled; default 15 min
	MaxBody     int64         // bytes of a decompressed answer; default 32 MiB
	MaxRecords  int           // elements of one list in an answer; default 1,000,000
	MaxPages    int           // pages of one Walk; default 100,000
	PassTime    time.Duration // of one Walk on the wire and in decoders; default 6 h
	PassBytes   int64         // of one Walk's answers, decompressed; default 10 GiB

	// Memory bounds what the answers of all clients cost together. Nil: nothing does.
	Memory *Memory

	AllowPrivate bool           // plain http, and private, loopback and link-local addresses: for the sandbox
	RootCAs      *x509.CertPool // nil: the system's
	// Dial replaces the network, for tests with a clock of their own. It gets no check of addresses.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Calls   CallStore
	Flights FlightStore // needed with MaxInFlight
	Once    OnceStore   // needed for requests with Once
	Tokens  TokenStore  // nil: tokens are kept in this process only
	Grants  GrantStore  // needed for requests with TokenKey.Consent
	// Fingerprint names a text by a hash with a key of the installation's, so that the text can't be guessed from it. Nil:
	// without a key, for what leaves this process by no way.
	Fingerprint func(text string) string
	// Reread reads the connection's secrets anew: now and then, and when they are refused. Nil: they never change. Open makes
	// a driver of them; Token, Authorize and Header are taken from it.
	Reread func() (map[string]Secret, error)
	Open   func(Connection) (Driver, error)
	Log    zerolog.Logger
}

// Retry bounds what is spent on transient failures of one request.
type Retry struct {
	Attempts int           // in all, the first included; default 5
	Base     time.Duration // the first back-off is between 0 and this, and doubles; default 500 ms
	Cap      time.Duration // no back-off is longer; default 30 s
	Budget   time.Duration // attempts and back-offs together, without waits at the gate; default 3 min
}

// wire is what the transport has to know.
func (o *Options) wire() wire.Options {
	return wire.Options{
		Base: o.Driver.Base, AllowPrivate: o.AllowPrivate, RootCAs: o.RootCAs, Concurrency: o.Concurrency, Dial: o.Dial,
	}
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// complete fills in the defaults and refuses what can't work.
func (o *Options) complete() error {
	orDefault(&o.Rate, o.Driver.Rate)
	orDefault(&o.Concurrency, 4)
	orDefault(&o.Timeout, 60*time.Second)
	orDefault(&o.Retry.Attempts, 5)
	orDefault(&o.Retry.Base, 500*time.Millisecond)
	orDefault(&o.Retry.Cap, 30*time.Second)
	orDefault(&o.Retry.Budget, 3*time.Minute)
	orDefault(&o.MaxWait, 15*time.Minute)
	orDefault(&o.MaxBody, 32<<20)
	orDefault(&o.MaxRecords, 1_000_000)
	orDefault(&o.MaxPages, 100_000)
	orDefault(&o.PassTime, 6*time.Hour)
	orDefault(&o.PassBytes, 10<<30)
	if o.Connection.Name == "" {
		return errors.New("the connection has no name")
	}
	if why := o.fault(); why != "" {
		return fmt.Errorf("connection %s: %s", o.Connection.Name, why)
	}
	return nil
}

// fault is why nothing can be made of the options; empty: it can.
func (o *Options) fault() string {
	if !isAddress(o.Driver.Base) {
		return "the API's address must be an absolute URL without user, query and fragment"
	}
	plain := o.Driver.Base.Scheme == "http" && o.AllowPrivate
	switch {
	case o.Driver.Base.Scheme != "https" && !plain:
		return "the API's address must be https"
	case o.Driver.Classify == nil, o.Driver.Connect == nil:
		return "provider " + o.Connection.Provider + " can't classify or connect"
	case o.Calls == nil:
		return "a client needs a store for its calls"
	case o.MaxInFlight < 0, o.MaxInFlight > 0 && o.Flights == nil:
		return "the calls in flight of all processes need a store that counts them"
	case o.Reread != nil && o.Open == nil:
		return "secrets that may change need a way to open the connection with them"
	case o.Rate < 0, o.Quota.PerDay < 0, o.Concurrency < 0, o.MaxBody < 0, o.Retry.Attempts < 0:
		return "rate, quota, concurrency, size and attempts can't be negative"
	}
	return ""
}

// isAddress says that a URL is the address of an API and nothing more.
func isAddress(u *url.URL) bool {
	if u == nil {
		return false
	}
	switch {
	case u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return false
	}
	return true
}
