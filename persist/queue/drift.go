package queue

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// A provider that moves a member, a text say, makes it null in every row, and no row alone looks wrong.
// So each run counts how many of the records that it decodes hold something in each member, and is
// compared with the runs before it. Pages with the bytes of last time are not decoded, so a quiet night
// counts few records, and says nothing.

// MemberCount is what was counted of one member.
type MemberCount struct {
	Kind     string // of records
	Member   string // empty: all records
	Records  int64  // that hold something
	Consents int64  // that all records are of
}

// The size of a run that can show a drift, and which runs it is compared with: the last ones that tell
// anything.
const (
	driftRecords  = 200
	driftConsents = 20
	comparedRuns  = 7
	fewRecords    = 20 // a run that decoded fewer is compared with nothing

)

// countMembers takes its locks by key: batches of one run count side by side.
const countMembers = `WITH mine AS (
	UPDATE batches SET counted = counted + 1
	WHERE id = $1 AND fence = $2
	RETURNING run_id
)
INSERT INTO run_members AS m (connection, kind, run_id, member, records, consents, reader)
SELECT r.connection, u.kind, r.id, u.member, u.records, u.consents, $3
FROM mine
JOIN runs r ON r.id = mine.run_id
CROSS JOIN unnest($4::text[], $5::text[], $6::int8[], $7::int8[]) AS u(kind, member, records, consents)
ORDER BY u.kind, u.member COLLATE "C"
ON CONFLICT (connection, kind, run_id, member)
DO UPDATE SET records = m.records + excluded.records,
	consents = m.consents + excluded.consents,
	reader = CASE WHEN m.reader = excluded.reader THEN m.reader END`

// CountMembers adds what a claim of a batch has counted to its run, also if that is nothing: a run of which
// a claim has not told is not compared with. reader names the way in which the answers were read; empty:
// that of this program. A claim that was taken over adds nothing.
func (s *Store) CountMembers(ctx context.Context, batch, fence int64, reader string, counts []MemberCount) error {
	var kinds, members []string
	var records, consents []int64
	for _, c := range counts {
		kinds = append(kinds, c.Kind)
		members = append(members, c.Member)
		records = append(records, c.Records)
		consents = append(consents, c.Consents)
	}
	reader = cmp.Or(reader, s.db.Worker.Version)
	_, err := s.db.Exec(ctx, countMembers, batch, fence, reader, kinds, members, records, consents)
	if err != nil {
		return fmt.Errorf("count the members that batch %d has read: %w", batch, pg.Describe(err))
	}
	return nil
}

const (
	// noteDrifts compares run $1 with the $4 runs of its job before it: another job may read other subjects.
	// A member counts as one that was there if most of those runs had it in most of their records: each has
	// one vote, so that neither a first load nor one odd night decides alone.
	//
	// What has no column changes its name also when a description gives it one, and when a member that has
	// drifted comes back. So of that only runs tell which were read in the same way, and not while a drift
	// lasted that has ended since.
	noteDrifts = `WITH now AS (
	SELECT r.job, m.connection, m.kind, m.records, m.consents, m.reader
	FROM runs r JOIN run_members m ON m.connection = r.connection AND m.run_id = r.id AND m.member = ''
	WHERE r.id = $1 AND m.records >= $2 AND m.consents >= $3
), before AS (
	SELECT n.connection, n.kind, m.run_id, m.records, coalesce(m.reader = n.reader, false)
		AND NOT EXISTS (
			SELECT FROM drifts d JOIN runs r ON r.id = d.run_id
			WHERE r.job = n.job
			AND r.connection = n.connection
			AND d.kind = n.kind
			AND d.run_id <= m.run_id
			AND d.ended_by > m.run_id
		) AS tells
	FROM now n CROSS JOIN LATERAL (
		SELECT m.run_id, m.records, m.reader
		FROM run_members m JOIN runs r ON r.id = m.run_id
		WHERE m.connection = n.connection AND m.kind = n.kind AND m.run_id < $1 AND m.member = ''
		AND r.job = n.job
		AND r.verdict IS NOT NULL
		ORDER BY m.run_id DESC LIMIT $4
	) m
), size AS (
	SELECT b.kind, e.extra, count(*) AS runs, sum(b.records) AS records
	FROM before b CROSS JOIN (VALUES (false), (true)) AS e(extra)
	WHERE b.tells OR NOT e.extra
	GROUP BY b.kind, e.extra
), had AS (
	SELECT b.kind, m.member, starts_with(m.member, 'extra.') AS extra,
		count(*) FILTER (WHERE 2 * m.records > b.records) AS runs,
		sum(m.records) AS records
	FROM before b
	JOIN run_members m ON m.connection = b.connection AND m.kind = b.kind AND m.run_id = b.run_id
	WHERE m.member <> ''
	AND (b.tells OR NOT starts_with(m.member, 'extra.'))
	GROUP BY b.kind, m.member
)
INSERT INTO drifts (run_id, kind, member, records, consents, held, before, runs)
SELECT $1, n.kind, h.member, n.records, n.consents, h.records, s.records, s.runs
FROM now n
JOIN had h ON h.kind = n.kind
JOIN size s ON s.kind = h.kind AND s.extra = h.extra
WHERE 2 * h.runs > s.runs
AND s.records >= $2
AND NOT EXISTS (
	SELECT FROM run_members m
	WHERE m.connection = n.connection AND m.kind = n.kind AND m.run_id = $1 AND m.member = h.member
)`

	// endDrifts ends those drifts of the job whose member run $1 has read.
	endDrifts = `UPDATE drifts d SET ended_by = $1
FROM runs r, runs mine
WHERE mine.id = $1 AND r.id = d.run_id AND r.connection = mine.connection AND r.job = mine.job
AND d.ended_by IS NULL AND d.run_id < $1
AND EXISTS (
	SELECT FROM run_members m
	WHERE m.connection = r.connection AND m.kind = d.kind AND m.run_id = $1 AND m.member = d.member
)`

	// forgetMembers drops what no run will be compared with: the counts of run $1 if it has read few
	// records, or if a claim of it has not told what it read, and those of all but the last runs of its job.
	forgetMembers = `DELETE FROM run_members m
USING runs r, run_members t, runs own
WHERE r.id = $1 AND m.connection = r.connection AND m.run_id <= $1
AND own.id = m.run_id AND own.job = r.job
AND t.connection = m.connection AND t.kind = m.kind AND t.run_id = m.run_id AND t.member = ''
AND (
	m.run_id = $1 AND t.records < $2
	OR m.run_id = $1 AND EXISTS (SELECT FROM batches b WHERE b.run_id = $1 AND b.counted < b.claims)
	OR m.run_id < (
		SELECT min(k.run_id) FROM (
			SELECT k.run_id
			FROM run_members k JOIN runs o ON o.id = k.run_id
			WHERE k.connection = m.connection AND k.kind = m.kind AND o.job = r.job
			AND k.run_id <= $1 AND k.member = '' AND k.records >= $2
			ORDER BY k.run_id DESC LIMIT $3
		) k
	)
)`
)

// noteDrift compares a run, whose batches are all done, with those before it.
func noteDrift(ctx context.Context, tx pgx.Tx, run int64) error {
	if _, err := tx.Exec(ctx, endDrifts, run); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, noteDrifts, run, driftRecords, driftConsents, comparedRuns); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, forgetMembers, run, fewRecords, comparedRuns)
	return err
}
