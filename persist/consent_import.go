package persist

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

const stageConsents = `CREATE TEMP TABLE staged_consents (external_id text, subject_hmac bytea, subject_sealed bytea, purpose text,
	scopes text[], valid_from timestamptz, valid_until timestamptz, single_use boolean, reads_per_day integer) ON COMMIT DROP`

var stagedColumns = []string{"external_id", "subject_hmac", "subject_sealed", "purpose", "scopes", "valid_from", "valid_until",
	"single_use", "reads_per_day"}

// mergeConsents writes the staged consents: new ones are inserted; known ones get what the file says now. A consent that
// had run out of its window, or waits for its person, is active again when its new window is open; one that was
// revoked or spent stays so, because a file can't undo that.
const mergeConsents = `WITH was AS (
	SELECT c.id, c.external_id, c.status, c.status IN ('expired', 'reauth_required')
		AND coalesce(s.valid_until > now(), true) AND c.valid_until IS DISTINCT FROM s.valid_until AS revives
	FROM consents c JOIN staged_consents s ON c.connection = $1 AND c.external_id = s.external_id
), merged AS (
	INSERT INTO consents AS c (connection, external_id, subject_hmac, subject_sealed, purpose, scopes, valid_from, valid_until, single_use, reads_per_day)
	SELECT $1, s.external_id, s.subject_hmac, s.subject_sealed, s.purpose, s.scopes, coalesce(s.valid_from, now()), s.valid_until, s.single_use, s.reads_per_day
	FROM staged_consents s
	ON CONFLICT (connection, external_id) DO UPDATE SET
		subject_hmac = coalesce(excluded.subject_hmac, c.subject_hmac), subject_sealed = coalesce(excluded.subject_sealed, c.subject_sealed),
		purpose = excluded.purpose, scopes = excluded.scopes, valid_until = excluded.valid_until, single_use = excluded.single_use,
		reads_per_day = excluded.reads_per_day, valid_from = least(c.valid_from, excluded.valid_from)
	WHERE (c.subject_hmac, c.purpose, c.scopes, c.valid_until, c.single_use, c.reads_per_day) IS DISTINCT FROM
		(coalesce(excluded.subject_hmac, c.subject_hmac), excluded.purpose, excluded.scopes, excluded.valid_until, excluded.single_use, excluded.reads_per_day)
		OR c.subject_sealed IS NULL AND excluded.subject_sealed IS NOT NULL
	RETURNING c.id, c.status
), told AS (
	INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
	SELECT m.id, 'import', w.status, CASE WHEN w.revives THEN 'active' ELSE m.status END, 'imported'
	FROM merged m LEFT JOIN was w USING (id) WHERE w.id IS NULL OR w.revives
)
SELECT count(*) FILTER (WHERE w.id IS NULL), count(*) FILTER (WHERE w.id IS NOT NULL),
	coalesce(array_agg(w.id) FILTER (WHERE w.revives), '{}') FROM merged m LEFT JOIN was w USING (id)`

// ImportConsents writes an operator's consents, all or none. A consent that is there already gets what the list says
// now. An external id that is a national identity number is refused: it would stand in plain in keys and logs.
func (s *Store) ImportConsents(ctx context.Context, connection string, list []ConsentImport) (r ImportResult, err error) {
	rows := make([][]any, len(list))
	seen := make(map[string]int, len(list))
	for i, c := range list {
		if earlier, double := seen[c.ExternalID]; double {
			return r, fmt.Errorf("consents %d and %d of the list have the same id", earlier+1, i+1)
		}
		seen[c.ExternalID] = i
		if rows[i], err = s.stagedRow(c); err != nil {
			return r, fmt.Errorf("consent %d of the list: %w", i+1, err)
		}
	}
	err = s.inTx(ctx, fmt.Sprintf("import %d consents of %s", len(list), connection), func(tx pgx.Tx) error {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, stageConsents); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"staged_consents"}, stagedColumns, pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		var revived []int64
		if err := tx.QueryRow(ctx, mergeConsents, connection).Scan(&r.Inserted, &r.Updated, &revived); err != nil {
			return err
		}
		r.Revived = len(revived)
		_, err := tx.Exec(ctx, `UPDATE consents SET status = 'active', ended_at = NULL, ended_reason = NULL WHERE id = ANY($1)`, revived)
		return err
	})
	r.Unchanged = len(list) - r.Inserted - r.Updated
	return r, err
}

func (s *Store) stagedRow(c ConsentImport) ([]any, error) {
	if c.ExternalID == "" {
		return nil, errors.New("it has no id")
	}
	if finance.IsNationalID(c.ExternalID) {
		return nil, errors.New("its id is a national identity number: give it an id of another kind")
	}
	var mac, sealed []byte
	if c.NationalID != "" {
		mac = s.vault.SubjectHMAC(c.NationalID)
		if c.KeepPlain {
			var err error
			if sealed, err = s.vault.Seal([]byte(c.NationalID), subjectAAD(mac)); err != nil {
				return nil, err
			}
		}
	}
	scopes := c.Scopes
	if scopes == nil {
		scopes = []string{}
	}
	return []any{clean(c.ExternalID), mac, sealed, clean(c.Purpose), scopes, nullTime(c.ValidFrom), nullTime(c.ValidUntil), c.SingleUse,
		nullInt32(c.ReadsPerDay)}, nil
}
