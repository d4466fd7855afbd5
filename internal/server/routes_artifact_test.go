package server

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/archive"
	"refline/internal/artifact"
	"refline/internal/blob"
	"refline/internal/store"
	"refline/internal/workspace"
)

// keep makes an attempt of the job of a run that kept the files of a folder.
func (s *testServer) keep(run store.Run, dir string) {
	s.t.Helper()
	ctx := s.t.Context()
	selected, err := workspace.Select(ctx, dir, workspace.Wanted{Paths: []string{"**"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer selected.Close()
	var data bytes.Buffer
	if err := archive.Write(ctx, &data, []archive.Part{{Name: "files", Files: selected}}, []byte("{}"), archive.DefaultLimits); err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256(data.Bytes())
	content := store.Content{Bytes: int64(data.Len()), SHA256: hex.EncodeToString(sum[:])}
	content.Place = store.NewPlace(store.BlobArtifact, run.Project, content.SHA256, 1)
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.BeginBlob(ctx, store.BlobArtifact, content.Place, content.Bytes, s.now()); err != nil {
			return err
		}
		if err := tx.PutAttempts(ctx, []store.Attempt{{ID: 9, Run: run.ID, Attempt: 1, State: "ended", Started: s.now(), Finished: s.now()}}); err != nil {
			return err
		}
		return tx.PutArtifacts(ctx, store.Artifacts{Attempt: 9, Project: run.Project, Run: run.ID, Content: content, Files: 3, FileBytes: 70 << 20, Created: s.now()})
	})
	if err == nil {
		err = s.blobs.Put(ctx, content.Place, blob.Sum{Size: content.Bytes, SHA256: content.SHA256}, &data)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestArtifacts serves what a job kept as what it is: somebody else's files.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(7, "data/flows")
	run := s.addTestRun(7, "main")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"out/report.html": "<script>alert(1)</script>", "out/a.txt": "text", "out/pic.svg": "<svg onload='alert(1)'/>", "out/x.exe": "MZ",
		"zeros.bin": strings.Repeat("\x00", 64<<20), // packed it is small
		`out/..\up`: "x",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"passwd": "/etc/passwd", "out/up": "../../..", "out/inside": "a.txt"} {
		if err := os.Symlink(to, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	s.keep(run, dir)
	base := fmt.Sprintf("/api/v1/runs/%d/jobs/job/artifacts", run.ID)
	ask := func(path string) response { return s.do(request{path: base + path, token: s.owner}) }

	var list api.Artifacts
	if got := ask("?folder=out"); got.StatusCode != http.StatusOK || json.Unmarshal([]byte(got.body), &list) != nil || len(list.Entries) != 7 {
		t.Errorf("the folder: %d %s", got.StatusCode, got.body)
	}
	for path, want := range map[string]struct {
		status                  int
		kind, disposition, body string
	}{
		"/file?path=out/a.txt":                 {200, "text/plain; charset=utf-8", "attachment; filename=a.txt", "text"},
		"/file?path=out/a.txt&show=true":       {200, "text/plain; charset=utf-8", "inline; filename=a.txt", "text"},
		"/file?path=out/report.html&show=true": {200, "text/html; charset=utf-8", "inline; filename=report.html", "<script>"},
		"/file?path=out/pic.svg&show=true":     {200, "image/svg+xml", "inline; filename=pic.svg", "<svg"},
		"/file?path=out/x.exe&show=true":       {200, "application/octet-stream", "attachment; filename=x.exe", "MZ"},
		"/file?path=out/inside":                {200, "application/octet-stream", "attachment; filename=inside", "text"},
		"/file?path=out%2F..%5Cup":             {200, "application/octet-stream", "attachment; filename=up", "x"},
		"/file?path=passwd":                    {404, "", "", ""},
		"/file?path=out/up/etc/passwd":         {404, "", "", ""},
		"/file?path=../../etc/passwd":          {404, "", "", ""},
		"/file?path=/etc/passwd":               {404, "", "", ""},
		"/file?path=out":                       {404, "", "", ""},
		"/file?path=":                          {404, "", "", ""},
		"/file?path=out/a.txt&attempt=x":       {400, "", "", ""},
		"/file?path=out/a.txt&attempt=2":       {404, "", "", ""},
		"?folder=nowhere":                      {404, "", "", ""},
		"?folder=..":                           {404, "", "", ""},
		"/archive?format=rar":                  {400, "", "", ""},
	} {
		got := ask(path)
		if got.StatusCode != want.status {
			t.Errorf("%s: %d, want %d: %.200s", path, got.StatusCode, want.status, got.body)
		}
		if want.status != http.StatusOK {
			continue
		}
		h := got.Header
		if h.Get("Content-Type") != want.kind || h.Get("Content-Disposition") != want.disposition || !strings.HasPrefix(got.body, want.body) {
			t.Errorf("%s: %q %q %.100q", path, h.Get("Content-Type"), h.Get("Content-Disposition"), got.body)
		}
		if policy := h.Values("Content-Security-Policy"); len(policy) != 1 || !strings.HasPrefix(policy[0], "sandbox; default-src 'none';") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
	s.checkZip(ask("/archive"))
	if got := ask("/archive?format=tar.zst"); got.StatusCode != http.StatusOK || got.Header.Get("Content-Disposition") != fmt.Sprintf("attachment; filename=run-%d-job-1.tar.zst", run.ID) || len(got.body) > 1<<20 {
		t.Errorf("the archive: %d %v, %d bytes", got.StatusCode, got.Header, len(got.body))
	}
	// Who sees another project only does not see that there is one.
	s.addTestProject(8, "data/other")
	other := s.token(TokenInput{Scopes: []string{"read"}, Project: 8})
	for _, path := range []string{"", "/file?path=out/a.txt", "/archive"} {
		if got := s.do(request{path: base + path, token: other}); got.StatusCode != http.StatusNotFound {
			t.Errorf("%q for a token of another project: %d", path, got.StatusCode)
		}
	}
}

// checkZip looks into a zip of the artifacts: files only, nothing that leads outside.
func (s *testServer) checkZip(got response) {
	s.t.Helper()
	z, err := zip.NewReader(strings.NewReader(got.body), int64(len(got.body)))
	if err != nil {
		s.t.Fatalf("the zip: %d %v", got.StatusCode, err)
	}
	sizes := map[string]int64{}
	for _, f := range z.File {
		body, err := f.Open()
		if err != nil {
			s.t.Fatal(err)
		}
		sizes[f.Name], err = io.Copy(io.Discard, body)
		if err != nil || !f.Mode().IsRegular() {
			s.t.Errorf("%s: %v, %v", f.Name, f.Mode(), err)
		}
	}
	want := map[string]int64{"out/a.txt": 4, "out/report.html": 25, "out/pic.svg": 24, "out/x.exe": 2, "out/.._up": 1, "zeros.bin": 64 << 20}
	if fmt.Sprint(sizes) != fmt.Sprint(want) {
		s.t.Errorf("the zip has %v, want %v", sizes, want)
	}
}

// A folder comes in pages that leave nothing out.
func TestArtifactPages(t *testing.T) {
	t.Parallel()
	var list []artifact.Entry
	for i := range 1201 {
		list = append(list, artifact.Entry{Name: fmt.Sprintf("%04d", i), Dir: i < 700})
	}
	seen, after, pages := 0, "", 0
	for {
		page, next := artifactPageOf(list, after)
		for _, e := range page {
			if e.Name != list[seen].Name {
				t.Fatalf("entry %d is %s, want %s", seen, e.Name, list[seen].Name)
			}
			seen++
		}
		if pages++; next == "" {
			break
		}
		after = next
	}
	if seen != len(list) || pages != 3 {
		t.Errorf("%d entries in %d pages", seen, pages)
	}
}
