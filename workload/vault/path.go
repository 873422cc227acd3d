package vault

import (
	"fmt"
	"net/url"
	"strings"

	"jimm/workload/estate"
)

// maxPath is the most of an encoded path, in bytes, before dots are escaped:
// the same as for sealed secrets, so that any secret can be moved.
const maxPath = 2048

// encodePath makes a path that Vault takes, of segments of any text. Usual
// names stay as they are, so that a person finds creds/aws/alice@example.com/prod
// by its name; what is special in a URL becomes %XX, and so does a dot where
// Vault would see a way up.
func encodePath(path string) (string, error) {
	segments := strings.Split(path, "/")
	length := len(segments) - 1
	for i, segment := range segments {
		if segment == "" {
			return "", estate.Errorf(estate.CodeBadRequest, "the path of a secret has an empty segment")
		}
		escaped := url.PathEscape(segment)
		length += len(escaped)
		segments[i] = escapeDots(escaped)
	}
	if length > maxPath {
		return "", estate.Errorf(estate.CodeNotValid, "the path of a secret is too long: %d bytes encoded, at most %d", length, maxPath)
	}
	return strings.Join(segments, "/"), nil
}

// escapeDots leaves no segment that is a dot, and no two dots in a row.
func escapeDots(segment string) string {
	if segment == "." {
		return "%2E"
	}
	return strings.ReplaceAll(segment, "..", "%2E%2E")
}

// decodePath is the reverse of encodePath.
func decodePath(encoded string) (string, error) {
	path, err := url.PathUnescape(encoded)
	if err != nil {
		return "", fmt.Errorf("cannot list secrets: %q was not put there by JIMM", encoded)
	}
	return path, nil
}
