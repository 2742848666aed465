package report

// HistoryGap is what of a job's history its streams were never asked for, and the command that asks.
type HistoryGap struct {
	Streams int    `json:"streams"`
	From    string `json:"from"`
	To      string `json:"to"`
	Command string `json:"command"`
	Calls   int    `json:"calls_at_least"`
}
