package mask

import (
	"bytes"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// decoded returns the segments of what value is an encoding of: a job that gets
// a secret in base64, in hex or escaped for a URL will decode it.
func decoded(value []byte, depth int) []segment {
	var segments []segment
	add := func(b []byte) {
		switch {
		case isText(b):
			segments = append(segments, take(b, depth+1)...)
			segments = append(segments, userPassword(b)...)
		case len(b) >= MinSecret:
			segments = append(segments, segment{text: b, kind: kindNumber})
		}
	}
	if b, err := hex.DecodeString(string(value)); err == nil {
		add(b)
		return segments
	}
	if b := decodeBase64(value); len(b) >= MinSecret && (isText(b) || bytes.ContainsAny(value, "=+/")) {
		add(b)
	}
	if bytes.IndexByte(value, '%') < 0 {
		return segments
	}
	for _, unescape := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if text, err := unescape(string(value)); err == nil && text != string(value) {
			add([]byte(text))
		}
	}
	return segments
}

func isText(b []byte) bool {
	if len(b) < MinSecret || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// userPassword returns the password of "user:password", as base64 for HTTP and
// for Docker registries holds it.
func userPassword(text []byte) []segment {
	user, password, ok := bytes.Cut(bytes.TrimSpace(text), []byte(":"))
	if !ok || len(user) == 0 || bytes.ContainsAny(user, " \t\r\n") || bytes.ContainsAny(password, "\r\n") {
		return nil
	}
	return password8(password)
}

// password8 returns a password as a secret of its own, if it can be masked and
// does not look like a common word.
func password8(password []byte) []segment {
	if len(password) < MinSecret || LooksCommon(password) != "" {
		return nil
	}
	return []segment{{text: password}}
}

// passwords matches where files hold a password: a URL, a line of .netrc,
// .npmrc, .pypirc and their like, a line of .pgpass.
var passwords = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@`),
		regexp.MustCompile(`(?im)(?:^|[\s/:;&?"'{,_-])(?:password|passwd|pwd|secret|_?(?:auth)?token|_auth|api_?key)["']?\s*[:=\s]\s*["']?([^\s"',;]+)`),
		regexp.MustCompile(`(?m)^[^:\s]+:[0-9*]+:[^:\s]+:[^:\s]+:(\S+)$`),
	}
})

// inside returns the passwords that a value holds among other things.
func inside(value []byte) []segment {
	if !bytes.ContainsAny(value, ":= \t\n") {
		return nil
	}
	var segments []segment
	for i, pattern := range passwords() {
		for _, m := range pattern.FindAllSubmatch(value, -1) {
			password := m[1]
			if len(password) == len(value) {
				continue
			}
			segments = append(segments, password8(password)...)
			if i == 0 {
				if plain, err := url.PathUnescape(string(password)); err == nil && plain != string(password) {
					segments = append(segments, password8([]byte(plain))...)
				}
			} else if b := decodeBase64(password); isText(b) {
				segments = append(segments, userPassword(b)...)
			}
		}
	}
	return segments
}

// publicEndpoints begin addresses in credentials files of Google; the rest of
// such an address is public too.
var publicEndpoints = []string{"https://www.googleapis.com/", "https://accounts.google.com/", "https://oauth2.googleapis.com/"}

// secretPart returns what of a string in JSON is secret.
func secretPart(leaf string) string {
	if publicConstants()[leaf] {
		return ""
	}
	for _, endpoint := range publicEndpoints {
		if strings.HasPrefix(leaf, endpoint) {
			return ""
		}
	}
	return strings.TrimSuffix(leaf, ".iam.gserviceaccount.com")
}
