package persist

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// ConsentImport is a consent as an operator's file has it.
type ConsentImport struct {
	ExternalID  string // the provider's id of the consent; refused when it is a national identity number
	NationalID  string // empty: the subject is not known
	KeepPlain   bool   // seal the plain number too, because the provider demands it in requests
	Purpose     string
	Scopes      []string
	ValidFrom   time.Time // zero: now
	ValidUntil  time.Time // zero: open-ended
	SingleUse   bool
	ReadsPerDay int // 0: unlimited
}

// ImportResult counts what an import did.
type ImportResult struct {
	Inserted  int
	Updated   int
	Unchanged int
	Revived   int // of the updated: expired or due for re-authorisation before, active now
	Refused   []RefusedImport
}

// RefusedImport is a row that only the table could judge, and why it was left out.
type RefusedImport struct {
	Row    int // its place in the list
	Reason string
}

// ImportConsents writes the consents in one transaction: all or, if one can't be used, none; but those whose window does
// not end after it begins, by what is known of them, are left out and named. A consent that is known keeps its id and its
// end, but for one that had expired or was due for re-authorisation: if its window is open now, it is active again.
//
// keep names the columns of which the list says nothing (purpose, scopes, valid_until, single_use, reads_per_day): a
// consent that is known keeps what it has there. A subject and a valid_from that are not told are kept always.
func (s *Store) ImportConsents(ctx context.Context, connection string, list []ConsentImport, keep ...string) (ImportResult, error) {
	r := ImportResult{}
	if keep == nil {
		keep = []string{}
	}
	if err := checkImport(list); err != nil {
		return r, fmt.Errorf("import consents into %s: %w", connection, err)
	}
	err := s.inTx(ctx, "import consents into "+connection, func(tx pgx.Tx) (err error) {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, makeImported); err != nil {
			return err
		}
		if err = s.copyImported(ctx, tx, list); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, mergeByKey); err != nil {
			return err
		}
		if r.Refused, err = refuseImported(ctx, tx, connection, keep); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, mergeImported, connection, keep).Scan(&r.Inserted, &r.Updated, &r.Revived)
		r.Unchanged = len(list) - len(r.Refused) - r.Inserted - r.Updated
		return describe(err)
	})
	if err != nil {
		return ImportResult{}, err
	}
	return r, nil
}

// MaxExternalID is how many bytes the provider's id of a consent may have: an index can't hold a name of any length.
const MaxExternalID = 512

// checkImport refuses what must not reach the table, naming the rows by their place and never by their content.
func checkImport(list []ConsentImport) error {
	var bad []error
	seen := make(map[string]int, len(list))
	for i, c := range list {
		reason := ""
		switch first, twice := seen[c.ExternalID]; {
		case strings.TrimSpace(c.ExternalID) == "":
			reason = "the external id is empty"
		case !storable(c.ExternalID):
			reason = "the external id is not valid text"
		case len(c.ExternalID) > MaxExternalID:
			reason = fmt.Sprintf("the external id is longer than %d bytes", MaxExternalID)
		case isNationalID(c.ExternalID):
			reason = "the external id is a national identity number: use the provider's id of the consent"
		case twice:
			reason = fmt.Sprintf("the external id is that of row %d", first+1)
		case c.NationalID != "" && !isDigits(c.NationalID):
			reason = "the national identity number is not made of digits alone"
		case !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.ValidFrom):
			reason = "valid_until is not after valid_from"
		case c.ReadsPerDay < 0:
			reason = "reads per day is negative"
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

const makeImported = `CREATE TEMP TABLE imported (place integer, external_id text, hmac bytea, sealed bytea, purpose text,
	scopes text[], valid_from timestamptz, valid_until timestamptz, single_use boolean, reads_per_day integer) ON COMMIT DROP`

func (s *Store) copyImported(ctx context.Context, tx pgx.Tx, list []ConsentImport) error {
	columns := []string{"place", "external_id", "hmac", "sealed", "purpose", "scopes", "valid_from", "valid_until", "single_use",
		"reads_per_day"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"imported"}, columns, pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
		c := &list[i]
		mac, sealed, err := s.sealSubject(c)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		return []any{i, c.ExternalID, mac, sealed, clean(c.Purpose), notNull(c.Scopes), nullTime(c.ValidFrom),
			nullTime(c.ValidUntil), c.SingleUse, nullInt32(c.ReadsPerDay)}, nil
	}))
	return err
}

// refuseImported takes out the rows whose window would be none: what a row does not tell of it stands in the consents, or
// is now.
func refuseImported(ctx context.Context, tx pgx.Tx, connection string, keep []string) ([]RefusedImport, error) {
	rows, err := tx.Query(ctx, `WITH bad AS (
		DELETE FROM imported i WHERE (i.valid_until IS NOT NULL OR 'valid_until' = ANY ($2)) AND
			CASE WHEN 'valid_until' = ANY ($2) THEN coalesce((SELECT c.valid_until FROM consents c
				WHERE c.connection = $1 AND c.external_id = i.external_id), i.valid_until) ELSE i.valid_until END
			<= coalesce(i.valid_from, (SELECT c.valid_from FROM consents c
				WHERE c.connection = $1 AND c.external_id = i.external_id), now())
		RETURNING place, valid_until, valid_from)
		SELECT place, CASE WHEN valid_from IS NULL AND valid_until <= now() THEN 'valid_until has passed: the consent is over'
			ELSE 'valid_until does not lie after the valid_from that is known' END FROM bad ORDER BY place`, connection, keep)
	if err != nil {
		return nil, describe(err)
	}
	var list []RefusedImport
	list, err = pgx.AppendRows(list, rows, pgx.RowToStructByPos[RefusedImport])
	return list, describe(err)
}

func (s *Store) sealSubject(c *ConsentImport) (mac, sealed []byte, err error) {
	if c.NationalID == "" {
		return nil, nil, nil
	}
	mac = s.vault.SubjectHMAC(c.NationalID)
	if c.KeepPlain {
		if sealed, err = s.vault.Seal([]byte(c.NationalID), subjectAAD(mac)); err != nil {
			return nil, nil, fmt.Errorf("seal the subject: %w", err)
		}
	}
	return mac, sealed, nil
}

// mergeByKey makes the merge look each consent up by its key. What the planner knows of consents is as old as the last
// ANALYZE; right after a large import it takes the table for small and reads it once for every row of the next one,
// which took minutes for 100,000 beside 20,000.
const mergeByKey = `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`

// mergeImported compares all but the sealed number, which differs with every sealing; it is replaced only where the
// subject is another one, or where it was kept in one form and is wanted in the other. An import that names no subject
// keeps the one that is known.
const mergeImported = `WITH known AS (
	SELECT c.id, c.status, i.*,
		coalesce(i.hmac, c.subject_hmac) AS new_hmac,
		CASE WHEN i.hmac IS NULL OR (i.hmac = c.subject_hmac AND i.sealed IS NOT NULL AND c.subject_sealed IS NOT NULL)
			THEN c.subject_sealed ELSE i.sealed END AS new_sealed,
		coalesce(i.valid_from, c.valid_from) AS new_from,
		CASE WHEN 'purpose' = ANY ($2) THEN c.purpose ELSE i.purpose END AS new_purpose,
		CASE WHEN 'scopes' = ANY ($2) THEN c.scopes ELSE i.scopes END AS new_scopes,
		CASE WHEN 'valid_until' = ANY ($2) THEN c.valid_until ELSE i.valid_until END AS new_until,
		CASE WHEN 'single_use' = ANY ($2) THEN c.single_use ELSE i.single_use END AS new_once,
		CASE WHEN 'reads_per_day' = ANY ($2) THEN c.reads_per_day ELSE i.reads_per_day END AS new_reads,
		c.status IN ('expired', 'reauth_required') AND coalesce(i.valid_from, c.valid_from) <= clock_timestamp()
			AND coalesce(CASE WHEN 'valid_until' = ANY ($2) THEN c.valid_until ELSE i.valid_until END > clock_timestamp(), true) AS revive
	FROM imported i JOIN consents c ON c.connection = $1 AND c.external_id = i.external_id
), updated AS (
	UPDATE consents c SET subject_hmac = k.new_hmac, subject_sealed = k.new_sealed, purpose = k.new_purpose,
		scopes = k.new_scopes, valid_from = k.new_from, valid_until = k.new_until, single_use = k.new_once,
		reads_per_day = k.new_reads, status = CASE WHEN k.revive THEN 'active' ELSE c.status END,
		ended_at = CASE WHEN k.revive THEN NULL ELSE c.ended_at END,
		ended_reason = CASE WHEN k.revive THEN NULL ELSE c.ended_reason END
	FROM known k WHERE c.id = k.id AND (k.revive OR
		(c.subject_hmac, c.subject_sealed, c.purpose, c.scopes, c.valid_from, c.valid_until, c.single_use, c.reads_per_day)
		IS DISTINCT FROM
		(k.new_hmac, k.new_sealed, k.new_purpose, k.new_scopes, k.new_from, k.new_until, k.new_once, k.new_reads))
	RETURNING c.id, k.revive, k.status AS was
), inserted AS (
	INSERT INTO consents (connection, external_id, subject_hmac, subject_sealed, purpose, scopes, valid_from, valid_until,
		single_use, reads_per_day)
	SELECT $1, i.external_id, i.hmac, i.sealed, i.purpose, i.scopes, coalesce(i.valid_from, now()), i.valid_until,
		i.single_use, i.reads_per_day
	FROM imported i WHERE NOT EXISTS (SELECT FROM consents c WHERE c.connection = $1 AND c.external_id = i.external_id)
	RETURNING id
), told AS (
	INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
	SELECT id, 'import', NULL, 'active', '' FROM inserted
	UNION ALL SELECT id, 'import', was, 'active', 'imported again' FROM updated WHERE revive
)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM updated), (SELECT count(*) FROM updated WHERE revive)`

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isNationalID says whether s is a Norwegian or Swedish national identity number, with or without a space or a sign
// in it.
func isNationalID(s string) bool {
	s = strings.NewReplacer(" ", "", "-", "", "+", "").Replace(s)
	return finance.IsNationalID(s) || finance.IsPersonnummer(s)
}
