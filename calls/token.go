package calls

import (
	"fmt"
	"time"
)

// Token is an access token and when it ends. No formatting verb shows it.
type Token struct {
	AccessToken string
	Type        string    // the token_type as the provider wrote it
	Expiry      time.Time // when the provider stops accepting it
	RefreshAt   time.Time // when it should be replaced, ahead of its expiry
}

// Format prints a fixed word for every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[token]")) }
