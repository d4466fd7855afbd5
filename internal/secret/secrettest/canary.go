// Package secrettest helps tests to show that a secret is nowhere it must not be:
// in no file of a data folder, no log and no answer. It is for tests only.
package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Canary is a secret to look for, and the places where it may not be. It is safe
// for use by several goroutines.
type Canary struct {
	forms []form

	mu    sync.Mutex
	texts []text
}

type form struct{ name, text string }

type text struct {
	name string
	data []byte
}

// TB is what is used of testing.TB.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// NewCanary looks for secrets in these forms: raw, each line of several, JSON, URL,
// hex in both cases, base64 in both alphabets at each alignment. A secret has
// at least 12 bytes.
func NewCanary(secrets ...string) *Canary {
	c := &Canary{}
	for i, s := range secrets {
		c.add(fmt.Sprintf("secret %d", i+1), s)
		lines := strings.Split(strings.TrimSpace(s), "\n")
		for n, line := range lines {
			// The first and the last line of a PEM file are no secret.
			if len(lines) > 1 && len(line) >= 12 && !strings.HasPrefix(line, "-----") {
				c.add(fmt.Sprintf("line %d of secret %d", n+1, i+1), line)
			}
		}
	}
	return c
}

func (c *Canary) add(name, s string) {
	if len(s) < 12 {
		panic("secrettest: a canary of less than 12 bytes may occur by chance")
	}
	add := func(how, text string) { c.forms = append(c.forms, form{name + how, text}) }
	add("", s)
	if quoted, err := json.Marshal(s); err == nil && string(quoted) != `"`+s+`"` {
		add(" in JSON", strings.Trim(string(quoted), `"`))
	}
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s)} {
		if escaped != s {
			add(" in a URL", escaped)
			add(" in a URL", lowerEscapes(escaped))
		}
	}
	add(" in hex", hex.EncodeToString([]byte(s)))
	add(" in hex", strings.ToUpper(hex.EncodeToString([]byte(s))))
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString(append(make([]byte, shift), s...))
			// The ends depend on the neighbours.
			start := (shift*8 + 5) / 6
			add(" in base64", encoded[start:len(encoded)-2])
		}
	}
}

// lowerEscapes writes %2B as %2b.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// Saw keeps a text, such as a log or the body of an answer, for [Canary.Check].
func (c *Canary) Saw(name string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts = append(c.texts, text{name, bytes.Clone(data)})
}

// Writer keeps all that is written to it for [Canary.Check], as one text.
func (c *Canary) Writer(name string) *Writer { return &Writer{c: c, name: name} }

// Writer is made by [Canary.Writer].
type Writer struct {
	c    *Canary
	name string
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for i := range w.c.texts {
		if w.c.texts[i].name == w.name {
			w.c.texts[i].data = append(w.c.texts[i].data, p...)
			return len(p), nil
		}
	}
	w.c.texts = append(w.c.texts, text{w.name, bytes.Clone(p)})
	return len(p), nil
}

// Check reports each form of a secret in what was seen and in the files below the
// folders. It fails if it looked at nothing.
func (c *Canary) Check(t TB, folders ...string) {
	t.Helper()
	c.mu.Lock()
	all := append([]text(nil), c.texts...)
	c.mu.Unlock()
	for _, dir := range folders {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			all = append(all, text{path, []byte(path)}, text{path, data})
			return err
		})
		if err != nil {
			t.Errorf("look for secrets in %s: %v", dir, err)
		}
	}
	looked := 0
	for _, x := range all {
		looked += len(x.data)
		for _, f := range c.forms {
			if i := bytes.Index(x.data, []byte(f.text)); i >= 0 {
				t.Errorf("%s is in %s, at byte %d", f.name, x.name, i)
			}
		}
	}
	if looked == 0 {
		t.Errorf("there was nothing to look for secrets in")
	}
}
