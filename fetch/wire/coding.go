package wire

import (
	"net/http"
	"strings"
)

// codingsOf are the codings that a body must be freed of. Content-Encoding is often taken for something
// else and names a charset (UTF-8), or says none: such a word is no coding, and the JSON proves itself.
func codingsOf(h http.Header) (codings []string) {
	for word := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		if isCoding(word) {
			codings = append(codings, word)
		}
	}
	return codings
}

// isCoding knows the content codings of the IANA's registry and those that are met beside it.
func isCoding(word string) bool {
	switch word {
	case "gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz", "exi", "aes128gcm",
		"pack200-gzip", "bzip2", "x-bzip2", "lzma", "xz", "lz4", "snappy":
		return true
	}
	return false
}
