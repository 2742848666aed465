package consents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Import is a consent as an operator's file has it.
type Import struct {
	ExternalID  string // the provider's id of the consent; refused when it is a national identity number
	NationalID  string // empty: the subject is not known
	KeepPlain   bool   // seal the plain number too, because the provider demands it in requests
	Purpose     string
	Scopes      []string
	ValidFrom   time.Time // zero: now
	ValidUntil  time.Time // zero: open-ended
	SingleUse   bool
	UseUnknown  bool // the list does not say whether it is for single use: one that is known stays what it is
	ReadsPerDay int  // 0: what the connection has, see BoundReads

	// Renews is an id of the known consent that goes on under ExternalID: the one before, or any that it had. Empty: it
	// is a consent of its own.
	Renews string
}

// ImportResult counts what an import did.
type ImportResult struct {
	Inserted  int
	Updated   int
	Unchanged int
	Revived   int // of the updated: expired, due for re-authorisation or suspected before, active now
	Ended     int // of the updated: active before, and their valid_until has passed
	Over      int // not known, and over: left out
	Unnamed   int // active consents of the connection that the list does not name
	Dropped   int // of those: revoked for that
	Active    int // active consents of the connection before, if some are unnamed
	Renewed   int // have ended, and go on under another id now
	Renewing  int // are good still, and go on under another id when that has been answered, or is valid
	Refused   []RefusedImport
}

// RefusedImport is a row that only the table could judge, and why it was left out.
type RefusedImport struct {
	Row    int // its place in the list
	Reason string
}

// Import writes the consents in one transaction: all or, if one can't be used, none; but those
// whose window does not end after it begins, by what is known of them, are left out and named. A consent
// that is known keeps its id.
//
// It keeps its end too, but for one that had expired or was due for re-authorisation: it is active again
// when the list tells another validity than before, which ends later than now. The same list every night
// revives nobody.
//
// A valid_until that has passed is no mistake. It ends a consent that is active, and one that is not
// known is left out. An external id that is known, or stands in the list, in other letter case is left
// out and named.
func (s *Store) Import(ctx context.Context, connection string, list []Import,
	options ...ImportOption) (ImportResult, error) {
	r := ImportResult{}
	rules := importRules{keep: []string{}}
	for _, o := range options {
		o(&rules)
	}
	if err := checkImport(list); err != nil {
		return r, fmt.Errorf("import consents into %s: %w", connection, err)
	}
	err := s.db.InTx(ctx, "import consents into "+connection, func(tx pgx.Tx) (err error) {
		if err := pg.TakeTurn(ctx, tx, listTurn(connection)); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, makeImported); err != nil {
			return err
		}
		if err = s.copyImported(ctx, tx, list); err != nil {
			return err
		}
		if err = compareAll(ctx, tx, connection, rules, &r); err != nil {
			return err
		}
		renewals, err := takeOutRenewals(ctx, tx, connection)
		if err != nil {
			return err
		}
		if err = mergeImport(ctx, tx, connection, rules, &r); err != nil {
			return err
		}
		if renewals {
			w := &renewing{connection: connection, rules: rules, list: list, r: &r, counted: map[int64]bool{}}
			if err = mergeRenewals(ctx, tx, w); err != nil {
				return err
			}
		}
		r.Unchanged = len(list) - len(r.Refused) - r.Over - r.Inserted - r.Updated - r.Renewed - r.Renewing
		return endUnnamed(ctx, tx, rules, &r)
	})
	if err != nil {
		return ImportResult{}, err
	}
	return r, nil
}

// listTurn is the turn of whoever makes consents of a connection, or changes many of them at once. Two such transactions side
// by side would make the same consent, or wait for each other's rows.
func listTurn(connection string) string { return "consents of " + connection }

// MaxExternalID is how many bytes the provider's id of a consent may have: an index can't hold a name of any length.
const MaxExternalID = 512

// checkImport refuses what must not reach the table, naming the rows by their place and never by their content.
func checkImport(list []Import) error {
	var bad []error
	seen := make(map[string]int, len(list))
	for i := range list {
		c := &list[i]
		reason := c.badID()
		if first, twice := seen[c.ExternalID]; twice && reason == "" {
			reason = fmt.Sprintf("the external id is that of row %d", first+1)
		}
		if reason == "" {
			reason = c.badTerms()
		}
		seen[c.ExternalID] = i
		if reason != "" {
			bad = append(bad, fmt.Errorf("row %d: %s", i+1, reason))
		}
		if len(bad) == 10 {
			return errors.Join(append(bad, errors.New("and perhaps more"))...)
		}
	}
	return errors.Join(bad...)
}

// badID is why the provider's id of the consent can't be kept; empty: it can.
func (c *Import) badID() string {
	switch {
	case strings.TrimSpace(c.ExternalID) == "":
		return "the external id is empty"
	case !pg.Storable(c.ExternalID):
		return "the external id is not valid text"
	case len(c.ExternalID) > MaxExternalID:
		return fmt.Sprintf("the external id is longer than %d bytes", MaxExternalID)
	case IsNationalID(c.ExternalID):
		return "the external id is a national identity number: use the provider's id of the consent"
	}
	return ""
}

// badTerms is why what else the row tells can't be kept; empty: it can.
func (c *Import) badTerms() string {
	ends := !c.ValidUntil.IsZero()
	numbered := c.NationalID != ""
	switch {
	case numbered && !isDigits(c.NationalID):
		return "the national identity number is not made of digits alone"
	case ends && !c.ValidUntil.After(c.ValidFrom):
		return "valid_until is not after valid_from"
	case !pg.Storable(c.Renews) || len(c.Renews) > MaxExternalID:
		return "renews is no id of a consent"
	case IsNationalID(c.Renews):
		return "renews is a national identity number: use the provider's id of the consent"
	case c.ReadsPerDay < 0:
		return "reads per day is negative"
	}
	return ""
}

const makeImported = `CREATE TEMP TABLE imported (place integer, external_id text, hmac bytea, sealed bytea, purpose text,
	scopes text[], valid_from timestamptz, valid_until timestamptz, single_use boolean, use_untold boolean, reads_per_day integer,
	renews text)
	ON COMMIT DROP`

func (s *Store) copyImported(ctx context.Context, tx pgx.Tx, list []Import) error {
	columns := []string{"place", "external_id", "hmac", "sealed", "purpose", "scopes", "valid_from", "valid_until", "single_use",
		"use_untold", "reads_per_day", "renews"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, columns, pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
		c := &list[i]
		mac, sealed, err := s.sealSubject(c)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		return []any{i, c.ExternalID, mac, sealed, pg.Clean(c.Purpose), pg.NotNull(c.Scopes), pg.NullTime(c.ValidFrom),
			pg.NullTime(c.ValidUntil), c.SingleUse, c.UseUnknown, pg.NullInt32(c.ReadsPerDay), c.Renews}, nil
	}))
	return err
}

func (s *Store) sealSubject(c *Import) (mac, sealed []byte, err error) {
	if c.NationalID == "" {
		return nil, nil, nil
	}
	mac = s.keys.SubjectHMAC(c.NationalID)
	if c.KeepPlain {
		if sealed, err = s.keys.Seal([]byte(c.NationalID), subjectAAD(mac)); err != nil {
			return nil, nil, fmt.Errorf("seal the subject: %w", err)
		}
	}
	return mac, sealed, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// IsNationalID says whether s is a Norwegian or Swedish national identity number, with or without a space or a sign
// in it. An id of a consent must not be one: ids are shown and kept in plain.
func IsNationalID(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "", "+", "").Replace(s)
	return finance.IsNationalID(s) || finance.IsPersonnummer(s)
}
