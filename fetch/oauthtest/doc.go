// Package oauthtest tests the OAuth2 client of package fetch against a server that this project has not written:
// ory/fosite, the library that Ory Hydra is made of, with its store in memory. Our own simulators are written by the
// people who wrote the client, and share their reading of the RFCs; fosite does not.
//
// fosite has no HTTP endpoints. Those are here, and add nothing to what it decides but a person who always consents,
// the discovery document, and the issuer in the callback (RFC 9207). The folder is a module of its own, so that fosite's
// many modules are none of the program's. See docs/decisions/008-foreign-oauth-server.md.
package oauthtest
