package read

// consentRules are the promises about consents: their budgets, their one call, and the ids that they have had.
func consentRules() []rule {
	return []rule{
		// What was read under a higher budget, or under none, was right. A read may be admitted before the budget is lowered
		// and have its slot after that, and one from before a first budget is written down later.
		{"reads-within-budget", "a consent with more reads in 24 hours than its budget allows", `SELECT DISTINCT format('consent %s', x.id)
			FROM (
				SELECT c.id, c.reads_lowered_at, r.at, least(r.at, r.written_at) AS made,
					lag(r.at, c.reads_per_day) OVER (
						PARTITION BY c.id ORDER BY least(r.at, r.written_at)) AS first
				FROM consent_reads r
				JOIN consents c ON c.id = r.consent_id
				WHERE c.reads_per_day IS NOT NULL
			) x
			WHERE x.at < x.first + interval '24 hours'
				AND x.made > coalesce(x.reads_lowered_at, '-infinity')`},
		{"spent-once", "a single-use consent with more than one data call that may have spent it", `SELECT format('consent %s', c.id) FROM consents c
			JOIN calls k ON k.consent_id = c.id AND k.purpose = 'data' AND (k.status BETWEEN 200 AND 299 OR k.class = 'unanswered')
			WHERE c.single_use
				AND k.sent_at > coalesce(greatest(c.renewed_at, c.single_use_since), '-infinity')
				AND NOT EXISTS ( -- the provider has told that this one did not spend it
					SELECT FROM consent_events e
					WHERE e.consent_id = c.id
						AND e.call_id = k.id
						AND e.source = 'status'
						AND e.to_status IN ('active', 'suspected')
				)
			GROUP BY c.id HAVING count(*) > 1`},
		{"ids-are-one-consents", "an id that two consents of a connection have, or had", `
			SELECT format('consent %s and consent %s', k.consent_id, c.id)
			FROM consent_ids k
			JOIN consents c ON c.connection = k.connection AND c.external_id = k.external_id AND c.id <> k.consent_id`},
		{"renewed-means-known", "a renewed consent of which an id is not written down", `SELECT format('consent %s', c.id)
			FROM renewals r
			JOIN consents c ON c.id = r.consent_id
			WHERE EXISTS (
				SELECT FROM unnest(ARRAY[r.new_id, r.old_id, c.external_id]) AS u (id)
				WHERE u.id IS NOT NULL
				AND NOT EXISTS (
					SELECT FROM consent_ids k
					WHERE k.connection = c.connection AND k.external_id = u.id AND k.consent_id = c.id
				)
			)`},
		{"trial-is-a-renewals", "a consent on trial without the renewal that it is on trial for, or the other way round", `
			SELECT format('consent %s', c.id)
			FROM consents c
			LEFT JOIN renewals r ON r.consent_id = c.id AND r.state = 'trial'
			WHERE c.on_trial <> (r.id IS NOT NULL)
			OR r.new_id <> c.external_id`},
		// An item that has failed for it knows of it: its next run asks for the status.
		{"no-send-forgotten", "a single-use consent that was called for, not answered, and is active still", `SELECT format('consent %s', c.id)
			FROM inbox i
			JOIN consents c ON c.id = i.consent_id
			WHERE i.answered_at IS NULL
				AND c.status IN ('active', 'suspected')
				AND i.intended_at < clock_timestamp() - interval '5 minutes'
				AND NOT EXISTS (
					SELECT FROM items t
					WHERE t.consent_id = c.id
						AND t.class = 'unanswered'
						AND t.finished_at >= i.intended_at
				)`},
	}
}
