package rest

// Description says in one YAML file how an API is spoken to and what its answers mean. It has no expression language:
// a value of an answer is named by a dotted path, and {names} in braces stand for what the consent and the stream say.
type Description struct {
	// Title is the name that people know the API by.
	Title string `yaml:"title"`
	// BaseURL is below what every request and every next link stays. The connection's base_url overrides it; one
	// without a path keeps this path.
	BaseURL string `yaml:"base_url" jsonschema:"required"`
	// Token is how an access token is asked for.
	Token Token `yaml:"token" jsonschema:"required"`
	// Headers are sent with every call, by name: a constant text, or the name of a credential.
	Headers map[string]Header `yaml:"headers"`
	// RequestIDHeader carries our id of the call. Default X-Request-Id.
	RequestIDHeader string `yaml:"request_id_header"`
	// Rate is what the API allows, used when the connection names none.
	Rate Rate `yaml:"rate"`
	// TimeZone is the calendar in which instants become days, such as Europe/Oslo. Default UTC.
	TimeZone string `yaml:"time_zone"`
	// Decimal is what sets off the decimals of amounts that are texts, in all fields that say nothing else:
	// comma or point.
	Decimal string `yaml:"decimal"`
	// Correlation is where the API puts its own id of a call.
	Correlation Correlation `yaml:"correlation"`
	// Errors is how the API says that something is wrong.
	Errors Errors `yaml:"errors"`
	// Check is one harmless call that needs no consent: syncer check makes it.
	Check Check `yaml:"check" jsonschema:"required"`
	// Datasets are what can be read, at least one.
	Datasets Datasets `yaml:"datasets" jsonschema:"required"`
}

// Token is how an access token is asked for by the client credentials grant.
type Token struct {
	// URL is the token endpoint. The connection's auth_url overrides it; one without a path keeps this path.
	URL string `yaml:"url"`
	// Dialect is how the client proves itself: basic_escaped (RFC 6749 section 2.3.1), basic_raw, in_params, in_headers,
	// or none for an API without tokens.
	Dialect string `yaml:"dialect" jsonschema:"required,enum=basic_escaped,enum=basic_raw,enum=in_params,enum=in_headers,enum=none"`
	// Headers are sent with the token call: the header's name and the credential's.
	Headers map[string]string `yaml:"headers"`
	// Audience is the form field of this name.
	Audience string `yaml:"audience"`
	// Scopes are asked for.
	Scopes Words `yaml:"scopes"`
	// Params are further form fields.
	Params map[string]string `yaml:"params"`
}

// Header is a header's value: a text, or credential with the name of one.
type Header struct {
	// Value is a constant text.
	Value string `yaml:"value"`
	// Credential is the name of one of the connection's credentials.
	Credential string `yaml:"credential"`
}

// Rate is what the API allows, in one of two units.
type Rate struct {
	// PerSecond is in calls a second.
	PerSecond Calls `yaml:"per_second"`
	// PerMinute is in calls a minute.
	PerMinute Calls `yaml:"per_minute"`
}

// Correlation is where the API's own id of a call stands. The first that is there counts, headers before bodies.
type Correlation struct {
	// Headers are names of response headers, beside the usual ones.
	Headers Words `yaml:"headers"`
	// Body are paths in the answer.
	Body Paths `yaml:"body"`
}

// Errors is how the API says that something is wrong. Where no rule fits, the status decides as usual: 401 is about the
// token, 429 and 503 about the rate, other 5xx may pass, other 4xx are final.
type Errors struct {
	// Code is the path of the API's word for what is wrong.
	Code Paths `yaml:"code"`
	// Message is the path of the explanation, which is shown to people.
	Message Paths `yaml:"message"`
	// RetryAfter is where the body tells how long to wait: a path, or a group with a pattern for a text in which the time
	// stands somewhere.
	RetryAfter Wait `yaml:"retry_after"`
	// InSuccess says that a good answer is an error too if it has a code.
	InSuccess bool `yaml:"in_success"`
	// Rules say what statuses and codes mean. The first that fits counts.
	Rules []Rule `yaml:"rules"`
}

// Wait is where an API tells in its body how long not to call: seconds, a Unix time, an instant, a span with its unit, or an
// English sentence that holds one of them. A pattern is for sentences in other languages.
type Wait struct {
	// Path is where it stands.
	Path Paths `yaml:"path" jsonschema:"required"`
	// Pattern is a regular expression (RE2) with one group, which is the number: "om (\d+) minuter". Where it does not fit,
	// nothing is told.
	Pattern string `yaml:"pattern"`
	// Unit is the number's, with a pattern. Default seconds.
	Unit string `yaml:"unit" jsonschema:"enum=milliseconds,enum=seconds,enum=minutes,enum=hours,enum=days"`
}

// Rule says what an error means. It fits if the status is one of Status and the code one of Code, where these are given.
type Rule struct {
	// Status are HTTP statuses, those of 2xx too, such as 202.
	Status Statuses `yaml:"status"`
	// Code are codes, as the API writes them.
	Code Words `yaml:"code"`
	// Class is what it means: throttled (wait), transient (try again), token (ask for a new one), consent (it is over),
	// rejected (this item fails), withheld (nothing may be told of this person: excused), fatal (park the connection), ok.
	Class string `yaml:"class" jsonschema:"required,enum=ok,enum=throttled,enum=transient,enum=token,enum=consent,enum=rejected,enum=withheld,enum=fatal"`
	// Consent is what the consent is now, with class consent. Default revoked.
	Consent string `yaml:"consent" jsonschema:"enum=revoked,enum=expired,enum=consumed,enum=reauth_required"`
	// Pauses says whom a pause of this error holds up, with class throttled or transient: all calls over the connection
	// (connection, the default), those for this consent, or those for this account. The others go on.
	Pauses string `yaml:"pauses" jsonschema:"enum=connection,enum=consent,enum=account"`
}

// Check is one harmless call.
type Check struct {
	// Method is GET or POST. Default GET.
	Method string `yaml:"method" jsonschema:"enum=GET,enum=POST"`
	// Path is below the base URL; it has no placeholders.
	Path string `yaml:"path" jsonschema:"required"`
	// Accept are statuses that show that address and token are good, beside 2xx: such as 404 for a consent made up.
	Accept Statuses `yaml:"accept"`
}

// Datasets are what can be read.
type Datasets struct {
	// Accounts are the accounts of a consent with their balances.
	Accounts *Accounts `yaml:"accounts"`
	// Transactions are those of an account, or of all accounts of a consent.
	Transactions *Transactions `yaml:"transactions"`
	// Debt are the debts of a person.
	Debt *Debts `yaml:"debt"`
}

// Reading is how one dataset is read.
type Reading struct {
	// Request is the call.
	Request Request `yaml:"request" jsonschema:"required"`
	// Records are where the records stand in an answer: a path, or a list of lists. A dot is the answer itself.
	Records Lists `yaml:"records" jsonschema:"required"`
	// Pagination is how the next page is asked for. Without it there is one page.
	Pagination Pagination `yaml:"pagination"`
	// Whole says that a pass shows all records there are, so that one which is missing has vanished.
	Whole bool `yaml:"whole"`
	// Partial are signs in the answer that something is missing in it.
	Partial []Partial `yaml:"partial"`
	// Subject is the path of the national identity number of the person whom the answer is about. An answer about
	// somebody else, or about nobody, is refused.
	Subject Paths `yaml:"subject"`
	// RecordSubject is the same inside of each record.
	RecordSubject Paths `yaml:"record_subject"`
	// Echoes are paths at which the answer must repeat what was asked for, such as account.id: "{account}".
	Echoes map[string]string `yaml:"echoes"`
	// Drop are paths inside of a record that are never stored, such as other people's numbers.
	Drop Paths `yaml:"drop"`
}

// Request is a call with placeholders: {consent} is the provider's id of the consent, {account} that of the account,
// {since} and {until} are days as 2026-11-30, and {subject}, in headers and bodies only, the person's national identity
// number.
type Request struct {
	// Method is GET or POST. Default GET.
	Method string `yaml:"method" jsonschema:"enum=GET,enum=POST"`
	// Path is below the base URL.
	Path string `yaml:"path" jsonschema:"required"`
	// Query are the parameters behind the path.
	Query map[string]string `yaml:"query"`
	// Headers are sent with this call.
	Headers map[string]string `yaml:"headers"`
	// Body is sent as JSON, with method POST.
	Body Body `yaml:"body"`
}

// List is a list of records in an answer.
type List struct {
	// Path is where it stands.
	Path string `yaml:"path" jsonschema:"required"`
	// Optional says that the list may be missing or null; otherwise that is an error, because an answer that has changed
	// its shape must not look empty.
	// An absent list proves nothing: where records of it are known, they stay and the item is partial.
	Optional bool `yaml:"optional"`
	// Empty says how the API shows an empty list: absent, where it leaves the list out. Then an answer without it that is
	// good by its subject, its echoes or its total shows that there is nothing.
	Empty string `yaml:"empty" jsonschema:"enum=absent"`
	// Status is what all transactions of the list are.
	Status string `yaml:"status" jsonschema:"enum=booked,enum=pending"`
}

// Pagination is how the next page is asked for: at most one of the first five, and windows with or without it.
type Pagination struct {
	// NextLink reads the next page's address from the answer.
	NextLink *NextLink `yaml:"next_link"`
	// LinkHeader reads it from the header Link (RFC 8288).
	LinkHeader *LinkHeader `yaml:"link_header"`
	// Cursor sends a value of the answer back as a parameter.
	Cursor *CursorPages `yaml:"cursor"`
	// Page counts pages.
	Page *PageNumbers `yaml:"page"`
	// Offset counts records.
	Offset *Offsets `yaml:"offset"`
	// Windows cuts the time from {since} to {until} into pieces.
	Windows *Windows `yaml:"windows"`
}

// NextLink is a link in the body. The list ends where it is missing, null, empty, false or 0, or leads to its own page. It may
// lead to the request's path or below it, and never to another account or consent.
type NextLink struct {
	// Path is where it stands.
	Path Paths `yaml:"path" jsonschema:"required"`
	// HasMore is the path of yes or no, where the link stands on the last page too: true, 1, "Y", "yes" or their opposites.
	HasMore Paths `yaml:"has_more"`
	// Ends are further texts that stand there on the last page, such as none.
	Ends Words `yaml:"ends"`
	// Rewrite puts a link on the API's own host with another scheme or port, or without the gateway's path, onto base_url.
	// Without it such a link fails the item.
	Rewrite bool `yaml:"rewrite"`
	// LeadsTo are other paths below the base URL that links may lead to, or below them, with {consent} and {account}; a
	// slash alone is everywhere.
	LeadsTo Words `yaml:"leads_to"`
}

// LinkHeader is a link in the header Link. The list ends where there is none of the relation. It may lead to the
// request's path or below it, and never to another account or consent.
type LinkHeader struct {
	// Rel is the relation. Default next.
	Rel string `yaml:"rel"`
	// Rewrite puts a link on the API's own host with another scheme or port, or without the gateway's path, onto base_url.
	// Without it such a link fails the item.
	Rewrite bool `yaml:"rewrite"`
	// LeadsTo are other paths below the base URL that links may lead to, or below them, with {consent} and {account}; a
	// slash alone is everywhere.
	LeadsTo Words `yaml:"leads_to"`
}

// CursorPages is a cursor in the body. Without has_more the list ends where it is missing, null, empty, false or 0, or stays
// the same.
type CursorPages struct {
	// Path is where the cursor stands.
	Path Paths `yaml:"path" jsonschema:"required"`
	// Parameter is the query parameter that takes it.
	Parameter string `yaml:"parameter" jsonschema:"required"`
	// HasMore is the path of yes or no: true, 1, "Y", "yes" or their opposites. Absent or null, it says no.
	HasMore Paths `yaml:"has_more"`
	// Ends are further texts that stand for no cursor on the last page, such as none.
	Ends Words `yaml:"ends"`
}

// PageNumbers counts pages. At most one of the ends may be given; without any the list ends with an empty page, never
// with a short one, because a server may give less than it was asked for.
type PageNumbers struct {
	// Parameter is the query parameter with the number.
	Parameter string `yaml:"parameter" jsonschema:"required"`
	// First is the first page's number, 0 or 1. Default 1.
	First *int `yaml:"first"`
	// HasMore is the path of yes or no: true, 1, "Y", "yes" or their opposites. Absent or null, it says no.
	HasMore Paths `yaml:"has_more"`
	// Pages is the path of how many pages there are. It may stand on the first page only.
	Pages Paths `yaml:"pages"`
	// LastPage is the path of the last page's number, counted from first: of an API whose pages count from 0 and which tells
	// 2 where there are three.
	LastPage Paths `yaml:"last_page"`
	// Total is the path of how many records the whole list has, not the page. It may stand on the first page only.
	Total Paths `yaml:"total"`
	// Beyond are statuses by which the API says that there is no such page, such as 404 behind the last one.
	Beyond Statuses `yaml:"beyond"`
}

// Offsets counts records. The next offset is what was received, not what was asked for. Ends are those of page.
type Offsets struct {
	// Parameter is the query parameter with the offset.
	Parameter string `yaml:"parameter" jsonschema:"required"`
	// HasMore is the path of yes or no: true, 1, "Y", "yes" or their opposites. Absent or null, it says no.
	HasMore Paths `yaml:"has_more"`
	// Total is the path of how many records the whole list has, not the page. It may stand on the first page only.
	Total Paths `yaml:"total"`
	// Beyond are statuses by which the API says that there is nothing at the offset, such as 404 behind the last record.
	Beyond Statuses `yaml:"beyond"`
}

// Windows cuts the time into pieces, oldest first.
type Windows struct {
	// Days is the length of a piece.
	Days int `yaml:"days" jsonschema:"required,minimum=1"`
	// ExclusiveEnd says that {until} is the first day not wanted, rather than the last one wanted.
	ExclusiveEnd bool `yaml:"exclusive_end"`
}

// Partial is a sign that something is missing in the answer: the number at the path is above a limit, or the text there
// is one of a list.
type Partial struct {
	// Path is where to look.
	Path string `yaml:"path" jsonschema:"required"`
	// Above is the largest number that is still fine.
	Above *int `yaml:"above"`
	// Is are texts that say it.
	Is Words `yaml:"is"`
	// Says is what it means, for people; with above the number is put in front.
	Says string `yaml:"says" jsonschema:"required"`
}

// emptyAbsent is List.Empty of an API that leaves empty lists out.
const emptyAbsent = "absent"
