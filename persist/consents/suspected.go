package consents

import "time"

// SuspectedFor is how long a suspected consent is not asked again.
const SuspectedFor = 20 * time.Hour

// ForgetSuspicion is what becomes of the columns of a consent of which the suspicion is over.
const ForgetSuspicion = `suspected_at = NULL, suspected_until = NULL, suspected_as = NULL, suspected_reason = NULL,
	suspected_dataset = NULL, suspected_times = 0, held_at = NULL, held_told = false`

// endSuspicion is what becomes of them where the consent ends: that it was suspected, and since when, stays.
const endSuspicion = `suspected_until = NULL, suspected_as = NULL, suspected_reason = NULL,
	suspected_dataset = NULL, held_at = NULL, held_told = false`
