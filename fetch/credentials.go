package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"syncer/fetch/redact"
)

// opened is a connection as it was opened with its secrets: what the driver made of them, and what they are
// known by. It never changes; secrets that have been rotated make another one, see Client.reread.
type opened struct {
	credentials map[string]Secret
	token       func(TokenKey) (TokenRequest, error) // nil: the API takes no token
	authorize   *Authorization
	header      map[string]Secret
	// print is what these credentials are known by, together with what is configured of the connection: a
	// park for refused credentials holds for them alone.
	print string

	grantPrint string // what access tokens by a consent's grant are known by; empty: there are none

	mu          sync.Mutex
	tokenPrints map[TokenKey]string // the same of the connection's own tokens, see tokens.printOf
}

// open makes an opened of what a driver says.
func (c *Client) open(credentials map[string]Secret, d *Driver) *opened {
	o := &opened{
		credentials: credentials, token: d.Token, authorize: d.Authorize, header: d.Header,
		print: c.credentialsPrint(credentials, d), tokenPrints: map[TokenKey]string{},
	}
	if d.Authorize != nil {
		o.grantPrint = c.grantPrint(d.Authorize)
	}
	return o
}

// now is the connection with the newest secrets that were read.
func (c *Client) now() *opened { return c.opened.Load() }

// Credentials is what the connection's credentials are known by: a keyed fingerprint of them and of what is
// configured of the connection. Secrets that have changed give another one.
func (c *Client) Credentials() string {
	c.rereadIfDue()
	return c.now().print
}

// shown are the secrets that must not come back out of an answer, those of before a rotation included.
func (c *Client) shown() []string { return *c.secrets.Load() }

// hidden finds a token and these secrets in an answer. That of the last answer is used again while they are the same.
func (c *Client) hidden(token string) *redact.Secrets {
	secrets := append([]string{token}, c.shown()...)
	if last := c.lastHidden.Load(); last != nil && last.Are(secrets) {
		return last
	}
	made := redact.NewSecrets(secrets)
	c.lastHidden.Store(made)
	return made
}

// hide adds secrets to those that must not come back out of an answer.
func (c *Client) hide(credentials map[string]Secret) {
	var all []string
	if known := c.secrets.Load(); known != nil {
		all = append(all, *known...)
	}
	for _, s := range credentials {
		all = append(all, s.Reveal())
	}
	c.secrets.Store(&all)
}

// fingerprint names what is secret, or belongs to a secret, by a hash that nobody can guess it from. kind
// keeps hashes of different things apart.
func (c *Client) fingerprint(kind string, of any) string {
	text, err := json.Marshal(of)
	if err != nil { // settings of a kind that JSON does not know: they are left out, and everything else counts
		text = fmt.Appendf(nil, "%T", of)
	}
	if c.opt.Fingerprint != nil {
		return c.opt.Fingerprint(kind + "\n" + string(text))
	}
	sum := sha256.Sum256(append([]byte(kind+"\n"), text...))
	return hex.EncodeToString(sum[:16])
}

// clientIdentity is everything of a request for a token that decides what the token is.
type clientIdentity struct {
	URL        string
	Style      TokenStyle
	ID, Secret string
	Params     map[string][]string
	Scopes     []string
	Header     map[string]string
}

func (r *TokenRequest) identity() clientIdentity {
	return clientIdentity{
		URL: r.URL, Style: r.Style, ID: r.ID, Secret: r.Secret.Reveal(), Params: r.Params, Scopes: r.Scopes, Header: revealed(r.Header),
	}
}

func revealed(secrets map[string]Secret) map[string]string {
	plain := map[string]string{}
	for name, s := range secrets {
		plain[name] = s.Reveal()
	}
	return plain
}

// credentialsPrint covers whatever may make the same secret good or bad: where it goes, in which way, and
// what for. That a setting which has nothing to do with it makes another print costs one more refused call.
func (c *Client) credentialsPrint(credentials map[string]Secret, d *Driver) string {
	var own, browser clientIdentity
	if d.Token != nil {
		if ask, err := d.Token(TokenKey{}); err == nil {
			own = ask.identity()
		}
	}
	if d.Authorize != nil {
		browser = d.Authorize.Token.identity()
	}
	settings, err := json.Marshal(c.opt.Connection.Settings)
	if err != nil {
		settings = nil
	}
	return c.fingerprint("credentials", []any{
		originOf(d.Base), c.opt.Connection.Environment, revealed(credentials), revealed(d.Header), own, browser, string(settings),
	})
}

// tokenPrint is for a token of the connection's own client credentials.
func (c *Client) tokenPrint(ask *TokenRequest) string {
	return c.fingerprint("token", []any{originOf(c.opt.Driver.Base), ask.identity()})
}

// grantPrint is for an access token that came by a consent's grant. The secret is left out: another one makes
// no access token of a person's a worse one.
func (c *Client) grantPrint(a *Authorization) string {
	ask := a.Token.identity()
	ask.Secret = ""
	ask.Header = nil
	return c.fingerprint("token of a grant", []any{originOf(c.opt.Driver.Base), a.Issuer, ask})
}

// holderPrint is whose a person's refresh token is: of this client, at this authorization server. Another
// secret, scope or address of the API leaves it what it was.
func (c *Client) holderPrint(ask *TokenRequest) string {
	u, err := url.Parse(ask.URL)
	if err != nil {
		u = &url.URL{}
	}
	return c.fingerprint("holder of a grant", []any{originOf(u), ask.ID})
}

// originOf is the scheme, host and port of an address.
func originOf(u *url.URL) string {
	return u.Scheme + "://" + u.Hostname() + ":" + port(u)
}

// rereadEvery is how often the secrets are read again while calls are made. A refused one is read again at
// once.
const rereadEvery = 10 * time.Second

// rereading is the state of reading the connection's secrets again.
type rereading struct {
	next atomic.Int64 // when to look again, in nanoseconds of Unix time
	mu   sync.Mutex
	said string // the trouble that was told last
}

// rereadIfDue looks for rotated secrets now and then.
func (c *Client) rereadIfDue() {
	if c.opt.Reread == nil {
		return
	}
	now := time.Now()
	next := c.rereading.next.Load()
	if now.UnixNano() >= next && c.rereading.next.CompareAndSwap(next, now.Add(rereadEvery).UnixNano()) {
		c.reread()
	}
}

// changed says whether there are other secrets than these, and looks for them at once.
func (c *Client) changed(of *opened) bool {
	if c.opt.Reread != nil && c.now() == of {
		c.reread()
	}
	return c.now() != of
}

// reread reads the connection's secrets again. What can't be read, or is of no use, changes nothing: a file
// may be met while it is being written.
func (c *Client) reread() {
	c.rereading.mu.Lock()
	defer c.rereading.mu.Unlock()
	credentials, err := c.opt.Reread()
	if err == nil && maps.Equal(credentials, c.now().credentials) {
		c.rereading.said = ""
		return
	}
	var d Driver
	if err == nil {
		conn := c.opt.Connection
		conn.Credentials = credentials
		d, err = c.opt.Open(conn)
	}
	if err != nil {
		if c.rereading.said != err.Error() {
			c.rereading.said = err.Error()
			c.opt.Log.Warn().Err(err).Msg("the connection's secrets can't be read again; those from before are used")
		}
		return
	}
	c.rereading.said = ""
	d.Base = c.opt.Driver.Base // where calls go is not for a secret to change
	c.hide(credentials)
	c.opened.Store(c.open(credentials, &d))
	c.opt.Log.Info().Msg("the connection's secrets have changed: the new ones are used from now on")
}
