package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets templates
var files embed.FS

// asset is a file whose name has the hash of its content, so that browsers keep it
// for ever.
type asset struct {
	name, media string
	body, zip   []byte
}

// assets are the style sheet and the script, by kind.
var assets = sync.OnceValue(func() map[string]asset {
	list := map[string]asset{}
	for kind, media := range map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"} {
		body := joined("assets/"+kind, kind == "css")
		sum := sha256.Sum256(body)
		list[kind] = asset{name: "page." + hex.EncodeToString(sum[:6]) + "." + kind, media: media, body: body, zip: zipped(body, gzip.BestCompression)}
	}
	return list
})

// joined is all files of a folder in the order of their names, without comments and
// the space at the beginning of lines.
func joined(folder string, css bool) []byte {
	entries, err := fs.ReadDir(files, folder)
	if err != nil {
		panic(err) // the folder is in the program
	}
	var out bytes.Buffer
	for _, e := range entries {
		text, err := files.ReadFile(path.Join(folder, e.Name()))
		if err != nil {
			panic(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line == "" || !css && strings.HasPrefix(line, "//") || css && strings.HasPrefix(line, "/*") && strings.HasSuffix(line, "*/") {
				continue
			}
			out.WriteString(line)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

func zipped(body []byte, level int) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // the levels are constants
	}
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func takesGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

func (s *Site) serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range assets() {
		if a.name != r.PathValue("name") {
			continue
		}
		h := w.Header()
		h.Set("Content-Type", a.media)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		body := a.body
		if takesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body = a.zip
		}
		_, _ = w.Write(body) // the browser may be gone
		return
	}
	// A page of another version of the program asks for its own style.
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "this style or script is of another version of the server; load the page again", http.StatusNotFound)
}
