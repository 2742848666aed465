// Package sbanken simulates Sbanken's open API as its clients last knew it:
// the token endpoint, and accounts, transactions, archived transactions and
// the customer in the generations v2 and v1 of publicapi.sbanken.no/apibeta.
// The bank's own documents (github.com/Sbanken/api-examples) and the public
// clients of the API are its sources; what those leave open is an option, and
// says so.
//
// A file of its own: cache.go keeps pages that were written, since a benchmark reads the same long list many times.
package sbanken

import (
	"time"

	"syncer/sandbox"
)

// Base paths of the API and path of the token endpoint, matched without regard
// to case.
const (
	V2        = "/apibeta/api/v2"
	V1        = "/apibeta/api/v1"
	TokenPath = "/identityserver/connect/token"
)

// Options describes a bank. The zero value, plus a Kit, is a small world with
// one client who may ask for every customer.
type Options struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's

	// Clients may ask for tokens; none means DefaultClient.
	Clients []Client
	// TokenTTL is the lifetime of a token; 0 means 3600 s.
	TokenTTL time.Duration
	// NewSecretDelay is how long a fresh secret answers invalid_client.
	NewSecretDelay time.Duration
	// ScopeOff answers token requests with 400 invalid_scope: no scope is
	// switched on for the application.
	ScopeOff bool
	// GrantOff gives tokens but answers every API call with 401.
	GrantOff bool

	// Customers is the size of the seeded world, 10 when 0.
	Customers int
	// Transactions is the number of booked transactions of each account, 200
	// when 0, spread evenly over Days (400 when 0) before Today.
	Transactions int
	Days         int
	// Reservations is how many card reservations each account has, 3 when 0 and
	// none when negative. Each is booked one to four days after it was made,
	// when the clock comes there, or by Simulator.Book.
	Reservations int
	// Today is the world's day; zero means the clock's present at New. As the
	// clock moves on, today moves with it and no transaction is added but booked
	// reservations and Simulator.Insert.
	Today time.Time

	// Quota limits each client. Nil means the bank's 30 calls a minute; a zero
	// Quota turns it off.
	Quota *sandbox.Quota
	// PageCache bounds the rendered pages kept, in bytes; 0 means 64 MiB,
	// negative none.
	PageCache int

	// ArchiveSourceText writes the archive's source as the document says, the
	// text "Archive". The bank sends the integer 1.
	ArchiveSourceText bool
	// EndDateKeepsReservations shows reservations although endDate is given.
	// Since December 2020 the bank hides them.
	EndDateKeepsReservations bool
	// EndDateToday500 answers v1 with endDate=today 500 (June 2021).
	EndDateToday500 bool
	// YearBoundaryCut answers a span over new year with the end's year only
	// (January 2020).
	YearBoundaryCut bool
	// PurchaseYearBug takes the year of purchaseDate from interestDate.
	PurchaseYearBug bool
	// LateCardDetails leaves cardDetails out in the first two days after booking.
	LateCardDetails bool
	// FlakyTransactionID leaks transactionId into some answers of /Transactions
	// (2018-2019).
	FlakyTransactionID bool
	// TwoDecimals writes amounts without trailing zeros. The bank writes three
	// decimals.
	TwoDecimals bool
	// Twins makes about one booked transaction in fifty the exact twin of its
	// neighbour, both real.
	Twins bool
	// LateBooked gives a reservation that becomes booked the accountingDate of
	// the day it was made, so that it appears behind rows read days before.
	LateBooked bool
	// ArchiveLag keeps rows booked less than so many days ago out of the
	// archive; /Transactions shows them with source AccountStatement.
	ArchiveLag int
	// Reach refuses a startDate that lies more than so many days before today; 0:
	// none but those before 2000.
	Reach int
	// Drift puts a new transaction at the head of an account after every so many
	// list pages of it were answered, which moves the whole list while a caller
	// pages through it; 0: never.
	Drift int
}

// Client is a registered application. With one customer it answers for that
// one, as the bank's personal applications did. With several, or All, a call
// must name its customer in the header customerId, as the API's older
// generation demanded. That is our assumption of how a third party would ask;
// the bank never published one.
type Client struct {
	ID, Secret string
	Customers  []string // national ids
	All        bool     // every customer of the world
	// SecretSince is when the secret was made; see Options.NewSecretDelay.
	SecretSince time.Time
}

// DefaultClient is the client of a world that names none. Its secret has
// characters that only survive form-urlencoding.
func DefaultClient() Client {
	return Client{ID: "0c1e0000000000000000000000000001", Secret: "s?+andbox:s%cret", All: true}
}

// CustomerInfo is a seeded customer.
type CustomerInfo struct {
	CustomerID string // synthetic national id
	FirstName  string
	LastName   string
	Accounts   []AccountInfo
}

// AccountInfo is a seeded account.
type AccountInfo struct {
	AccountID     string // 32 upper-case hex digits
	AccountNumber string // 11 digits
	Name          string
	Type          string
	CreditCard    bool
}

func (o Options) withDefaults() Options {
	set := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	set(&o.Customers, 10)
	set(&o.Transactions, 200)
	set(&o.Days, 400)
	set(&o.Reservations, 3)
	set(&o.PageCache, 64<<20)
	if o.Seed == 0 {
		o.Seed = o.Kit.Seed
	}
	if len(o.Clients) == 0 {
		o.Clients = []Client{DefaultClient()}
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = time.Hour
	}
	if o.Today.IsZero() {
		o.Today = o.Kit.Clock.Now()
	}
	if o.Quota == nil {
		o.Quota = &sandbox.Quota{Calls: 30, Period: time.Minute, Fixed: true}
	}
	return o
}
