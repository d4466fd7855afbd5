package server

import (
	"archive/zip"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/artifact"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/store"
)

const (
	artifactPage   = 500              // entries of a page
	artifactTime   = 30 * time.Second // for a list
	mostZipped     = 2 << 30          // bytes of files
	artifactReads  = 3                // archives whose index is read at once
	artifactPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

func (s *Server) artifactRoutes(a huma.API) {
	op(s, a, "GET /api/v1/runs/{run}/jobs/{job}/artifacts", actRead, "list what a job kept", func(ctx context.Context, in *struct {
		ByAttempt
		Folder string `query:"folder" maxLength:"4096" doc:"to list; by default the top one"`
		After  string `query:"after" maxLength:"4096" doc:"next of the page before"`
	}) (*answer[api.Artifacts], error) {
		out, err := s.listArtifacts(ctx, in.ByAttempt, in.Folder, in.After)
		return &answer[api.Artifacts]{out}, err
	})
	s.router.plain("GET /api/v1/runs/{run}/jobs/{job}/artifacts/file", need{action: actRead, stream: true}, s.serveArtifact)
	s.router.plain("GET /api/v1/runs/{run}/jobs/{job}/artifacts/archive", need{action: actRead, stream: true}, s.serveArtifacts)
}

// artifactsOf finds what an attempt kept.
func (s *Server) artifactsOf(ctx context.Context, in ByAttempt) (store.Attempt, store.Artifacts, error) {
	attempt, err := s.findAttempt(ctx, in.Run, in.Job, in.Attempt, false)
	if err != nil {
		return attempt, store.Artifacts{}, err
	}
	kept, err := s.store.Artifacts(ctx, attempt.ID)
	if errs.Is(err, errs.NotFound) {
		err = errs.E(errs.NotFound, "attempt %d of job %s in run %d keeps no artifacts: it made none, or they have expired", attempt.Attempt, in.Job, in.Run)
	}
	return attempt, kept, err
}

// readIndex limits how many archives are read at once: the index of one may be large.
func (s *Server) readIndex(ctx context.Context) (release func(), err error) {
	select {
	case s.artifactReads <- struct{}{}:
		return func() { <-s.artifactReads }, nil
	case <-ctx.Done():
		return nil, errs.E(errs.Unavailable, "other archives are being read; try again")
	}
}

func (s *Server) listArtifacts(ctx context.Context, in ByAttempt, folder, after string) (api.Artifacts, error) {
	ctx, cancel := context.WithTimeout(ctx, artifactTime)
	defer cancel()
	attempt, kept, err := s.artifactsOf(ctx, in)
	if err != nil {
		return api.Artifacts{}, err
	}
	release, err := s.readIndex(ctx)
	if err != nil {
		return api.Artifacts{}, err
	}
	defer release()
	files, err := s.files.archive(kept.Content).Browse(ctx)
	if err != nil {
		return api.Artifacts{}, err
	}
	out := api.Artifacts{
		Attempt: attempt.Attempt, Name: kept.Name, Files: kept.Files, Bytes: kept.FileBytes, Stored: kept.Bytes,
		Created: kept.Created, Expires: kept.Expires, Kept: kept.Keep, Folder: strings.Trim(folder, "/"), Reports: kept.Reports,
	}
	list, hidden := artifact.ListFolder(files, out.Folder)
	if list == nil && out.Folder != "" {
		return out, errs.E(errs.NotFound, "the artifacts of job %s have no folder %.200q", in.Job, out.Folder)
	}
	out.Hidden = hidden
	out.Entries, out.Next = artifactPageOf(list, after)
	return out, nil
}

// artifactPageOf is the page of a folder's entries after one that is named as
// "d NAME" or "f NAME": folders come first.
func artifactPageOf(list []artifact.Entry, after string) (page []api.ArtifactEntry, next string) {
	page = []api.ArtifactEntry{}
	for _, e := range list {
		if after != "" && entryKey(e) <= after {
			continue
		}
		if len(page) == artifactPage {
			return page, next
		}
		page = append(page, api.ArtifactEntry{Name: e.Name, Path: e.Path, Folder: e.Dir, Files: e.Files, Size: e.Size, Link: e.Link})
		next = entryKey(e)
	}
	return page, ""
}

func entryKey(e artifact.Entry) string {
	if e.Dir {
		return "d " + e.Name
	}
	return "f " + e.Name
}

// byAttempt reads the path and query of a plain route.
func byAttempt(r *http.Request) (in ByAttempt, err error) {
	if in.Run, err = strconv.ParseInt(r.PathValue("run"), 10, 64); err != nil {
		return in, errs.E(errs.Invalid, "%q is not the id of a run", r.PathValue("run"))
	}
	in.Job = r.PathValue("job")
	if text := r.URL.Query().Get("attempt"); text != "" {
		if in.Attempt, err = strconv.Atoi(text); err != nil || in.Attempt < 0 {
			return in, errs.E(errs.Invalid, "%q is not the number of an attempt", text)
		}
	}
	return in, nil
}

// serveArtifact sends one file. It is somebody else's content on this server's address:
// it gets no rights of a page, whatever it is.
func (s *Server) serveArtifact(w http.ResponseWriter, r *http.Request) error {
	in, err := byAttempt(r)
	if err != nil {
		return err
	}
	_, kept, err := s.artifactsOf(r.Context(), in)
	if err != nil {
		return err
	}
	name := r.URL.Query().Get("path")
	body, size, err := s.openKept(r.Context(), kept, name)
	if err != nil {
		return err
	}
	defer body.Close()
	h := w.Header()
	kind, shown := artifactType(name)
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", artifactPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	disposition := "attachment"
	if shown && r.URL.Query().Get("show") == "true" {
		disposition = "inline"
	}
	h.Set("Content-Disposition", fileDisposition(disposition, path.Base(name)))
	_, _ = io.Copy(w, body) // the caller may be gone
	return nil
}

// openKept opens a file of an archive.
func (s *Server) openKept(ctx context.Context, kept store.Artifacts, name string) (io.ReadCloser, int64, error) {
	release, err := s.readIndex(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	archive := s.files.archive(kept.Content)
	if _, err := archive.Browse(ctx); err != nil {
		return nil, 0, err
	}
	return archive.OpenSized(ctx, name)
}

// artifactType is the type that a file is sent with, by its name, and whether a browser
// may show it. What a browser could run is sandboxed by the policy beside it.
func artifactType(name string) (kind string, shown bool) {
	switch strings.ToLower(path.Ext(name)) {
	case ".png":
		return "image/png", true
	case ".jpg", ".jpeg":
		return "image/jpeg", true
	case ".gif":
		return "image/gif", true
	case ".webp":
		return "image/webp", true
	case ".svg":
		return "image/svg+xml", true
	case ".html", ".htm":
		return "text/html; charset=utf-8", true
	case ".txt", ".log", ".md", ".csv", ".json", ".xml", ".yml", ".yaml", ".sql", ".py":
		return "text/plain; charset=utf-8", true
	}
	return "application/octet-stream", false
}

// fileDisposition says what a browser does with a file, and its name without what could
// mean something to it or to a shell.
func fileDisposition(kind, name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.+ ", r) {
			return r
		}
		return '-'
	}, name)
	name = strings.TrimLeft(name, ".- ")
	if runes := []rune(name); len(runes) > 150 {
		name = string(runes[len(runes)-150:])
	}
	if name == "" {
		name = "file"
	}
	return mime.FormatMediaType(kind, map[string]string{"filename": name})
}

// serveArtifacts sends all files: as a zip, or as the archive that is kept.
func (s *Server) serveArtifacts(w http.ResponseWriter, r *http.Request) error {
	in, err := byAttempt(r)
	if err != nil {
		return err
	}
	attempt, kept, err := s.artifactsOf(r.Context(), in)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("run-%d-%s-%d", in.Run, in.Job, attempt.Attempt)
	switch format := r.URL.Query().Get("format"); {
	case format == "tar.zst":
		return s.serveArchive(w, r, kept, name)
	case format != "" && format != "zip":
		return errs.E(errs.Invalid, "%q is not a format of an archive; it is zip or tar.zst", format)
	case kept.FileBytes > mostZipped:
		return errs.E(errs.Invalid, "the artifacts have %d bytes, more than are packed as a zip; take the archive as it is: format=tar.zst", kept.FileBytes)
	}
	release, err := s.readIndex(r.Context())
	if err != nil {
		return err
	}
	defer release()
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", fileDisposition("attachment", name+".zip"))
	h.Set("X-Content-Type-Options", "nosniff")
	return s.writeZip(r.Context(), w, kept)
}

// writeZip packs the files of an archive while it is read. An archive that has more than
// it says ends early, and the zip has no end then: programs refuse it.
func (s *Server) writeZip(ctx context.Context, w io.Writer, kept store.Artifacts) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	left := int64(mostZipped)
	err := s.files.archive(kept.Content).Each(ctx, func(e artifact.Entry, content io.Reader) error {
		if left -= e.Size; left < 0 {
			return errs.E(errs.Invalid, "the artifacts have more bytes than they say")
		}
		// A backslash is a part of a name here, and a folder where it is unpacked.
		out, err := z.CreateHeader(&zip.FileHeader{Name: strings.ReplaceAll(e.Path, `\`, "_"), Method: zip.Deflate})
		if err == nil {
			_, err = io.Copy(out, content)
		}
		return err
	})
	if err != nil {
		return err
	}
	return z.Close()
}

// serveArchive sends the archive as it is kept.
func (s *Server) serveArchive(w http.ResponseWriter, r *http.Request, kept store.Artifacts, name string) error {
	body, err := s.files.Blobs.Open(r.Context(), kept.Place, blob.Range{Length: kept.Bytes})
	if err != nil {
		return err
	}
	defer body.Close()
	h := w.Header()
	h.Set("Content-Type", "application/zstd")
	h.Set("Content-Length", strconv.FormatInt(kept.Bytes, 10))
	h.Set("Content-Disposition", fileDisposition("attachment", name+".tar.zst"))
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.Copy(w, body)
	return nil
}
