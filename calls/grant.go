package calls

import "syncer/finance"

// KeptGrant is what is kept of a consent's grant.
type KeptGrant struct {
	Refresh finance.Secret // the refresh token; zero: there is none that may be sent
	Other   bool           // one is kept, but it was given to another client, or by another authorization server
}
