package report

// CheckResult is what one check has found: the JSON of `check`.
type CheckResult struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, note or failed
	Detail string `json:"detail"`
}
