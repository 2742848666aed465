// Package resume is what connectors share to go on where a stream stands: the day that it has been read up to, the search
// for the first day that a provider gives, and why reading cannot go on from a stored position.
package resume
