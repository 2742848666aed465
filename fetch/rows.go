package fetch

import (
	"context"

	"syncer/finance"
)

// Others says whether records of the set are stored, and not removed, that are not among those with these ids. Where
// nothing is known of what is stored, it says no.
func (s *Stream) Others(ctx context.Context, set finance.Extent, ids []string) (bool, error) {
	if s.Rows == nil {
		return false, nil
	}
	others, err := s.Rows.Others(ctx, set, ids)
	if err != nil {
		return false, s.unasked(err)
	}
	return others, nil
}

// unasked is the error of a pass whose tables can't be asked what they hold. It is no defect of the provider's answer.
func (s *Stream) unasked(err error) *Error {
	return &Error{
		Class: finance.Interrupted, Op: "compare " + string(s.Dataset) + " with what is stored",
		Reason: "the tables could not be asked what they hold", Err: err,
	}
}
