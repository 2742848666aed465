package fetch

// TokenStyle is how a client proves itself at the token endpoint.
type TokenStyle int

// The styles. BasicEscaped form-urlencodes id and secret before base64, as RFC 6749 section 2.3.1 says and Sbanken
// demands; BasicRaw joins them as they are, as Norsk Gjeldsinformasjon's samples and Vipps' specialised flow do.
const (
	BasicEscaped TokenStyle = iota
	BasicRaw
	InParams // client_id and client_secret in the form
	// InHeaders sends whatever TokenRequest.Header says. The form carries no secret; with neither Params nor Scopes the
	// body is empty, as Vipps' standard flow has it.
	InHeaders
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

// empty says that the request has no body at all, not even a grant_type.
func (r *TokenRequest) empty() bool {
	return r.Style == InHeaders && len(r.Params) == 0 && len(r.Scopes) == 0
}
