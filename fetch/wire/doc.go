// Package wire sends one request and reads its answer: which addresses may be dialled, TLS, the bounds and the coding of
// an answer, and the last look before the first byte.
package wire
