package fetch

import "syncer/finance"

// Secret is a text that no formatting verb, encoder or logger shows.
type Secret = finance.Secret

// NewSecret wraps a secret text.
func NewSecret(text string) Secret { return finance.NewSecret(text) }
