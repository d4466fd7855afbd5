package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

// docs/openapi.json is what the server serves; -update writes it.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *Options) { o.Version = "v1" })
	got := s.do(request{path: "/api/v1/openapi.json"})
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(got.body), "", "  "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	path := filepath.Join("..", "..", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text.String()); d != "" {
		t.Errorf("docs/openapi.json is not what the server serves; go test ./internal/server -run OpenAPI -update\n%s", d)
	}
	var doc struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" || len(doc.Paths) < 30 {
		t.Errorf("openapi %q with %d paths, %v", doc.OpenAPI, len(doc.Paths), err)
	}
	ids := map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			id, _ := op["operationId"].(string)
			if other := ids[id]; id == "" || other != "" {
				t.Errorf("%s %s: operation %q is that of %q too", method, path, id, other)
			}
			ids[id] = method + " " + path
		}
	}
}
