//go:build !unix

package cli

import "io"

// unsignalled is the writer: elsewhere no signal tells of a reader who has gone.
func unsignalled(w io.Writer) io.Writer { return w }
