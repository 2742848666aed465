package fetch

// TokenStyle is how a client proves itself at the token endpoint.
type TokenStyle int

// The styles. BasicEscaped form-urlencodes id and secret before base64, as RFC 6749 section 2.3.1 says and Sbanken
// demands; BasicRaw joins them as they are, as Norsk Gjeldsinformasjon's samples and Vipps' specialised flow do.
const (
	BasicEscaped TokenStyle = iota
	BasicRaw
	InParams  // client_id and client_secret in the form
	InHeaders // whatever TokenRequest.Header says; the form carries no secret
)

// TokenRequest is how one token is asked for.
type TokenRequest struct {
	URL    string
	Style  TokenStyle
	ID     string
	Secret Secret
	Params map[string][]string // additional form fields, such as audience
	Scopes []string
	Header map[string]Secret // additional headers, such as a subscription key
}
