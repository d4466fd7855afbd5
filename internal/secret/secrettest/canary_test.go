package secrettest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	secretText = "kanarie/+ vogel=ß9"
	pem        = "-----BEGIN X-----\nAAAAbbbbCCCCdddd\nEEEEffffGGGG\n-----END X-----\n"
)

type recorder struct{ found []string }

func (*recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func TestCanaryFindsEachForm(t *testing.T) {
	t.Parallel()
	quoted, _ := json.Marshal(map[string]string{"v": "a\n" + pem})
	for name, text := range map[string]string{
		"raw":                  "x" + secretText + "y",
		"URL query":            url.QueryEscape(secretText),
		"URL path":             url.PathEscape(secretText),
		"URL in lower case":    strings.ToLower(url.QueryEscape(secretText)),
		"hex":                  hex.EncodeToString([]byte(secretText)),
		"upper hex":            strings.ToUpper(hex.EncodeToString([]byte(secretText))),
		"base64":               base64.StdEncoding.EncodeToString([]byte(secretText)),
		"base64 after 1 byte":  base64.StdEncoding.EncodeToString([]byte("u" + secretText + "zz")),
		"base64 after 2 bytes": base64.URLEncoding.EncodeToString([]byte("u:" + secretText + "z")),
		"base64 after 4 bytes": base64.RawURLEncoding.EncodeToString([]byte("user" + secretText)),
		"a key":                pem,
		"a key in JSON":        string(quoted),
		"a line of a key":      "AAAAbbbbCCCCdddd",
		"a line in base64":     base64.StdEncoding.EncodeToString([]byte("EEEEffffGGGG")),
	} {
		c := NewCanary(secretText, pem)
		r := &recorder{}
		c.Saw(name, []byte(text))
		c.Check(r)
		if len(r.found) == 0 {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
}

func TestCanaryFindsNothingElse(t *testing.T) {
	t.Parallel()
	c := NewCanary(secretText, pem)
	r := &recorder{}
	c.Saw("text", []byte("kanarie vogel -----BEGIN X----- "+hex.EncodeToString([]byte("kanarie"))))
	c.Check(r)
	if len(r.found) > 0 {
		t.Error(r.found)
	}
	r = &recorder{}
	NewCanary(secretText).Check(r, t.TempDir())
	if len(r.found) != 1 {
		t.Errorf("with nothing to look at: %q", r.found)
	}
}

func TestCanaryLooksIntoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "db-wal"), []byte("\x00\x01"+secretText+"\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := NewCanary(secretText)
	w := c.Writer("log")
	// A secret in two writes is one in the log.
	for _, half := range []string{secretText[:7], secretText[7:]} {
		if _, err := w.Write([]byte(half)); err != nil {
			t.Fatal(err)
		}
	}
	r := &recorder{}
	c.Check(r, dir)
	if len(r.found) != 2 || !strings.Contains(strings.Join(r.found, "\n"), "db-wal") {
		t.Errorf("found %q, want it in the file and in the log", r.found)
	}
}
