package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"refline/internal/errs"
)

var commitTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// startRegistry is a registry of this process, empty.
func startRegistry(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// pushBase puts an image for each platform into a registry.
func pushBase(t *testing.T, host string, platforms ...string) string {
	t.Helper()
	base := host + "/base/python:3"
	ref, err := name.ParseReference(base)
	if err != nil {
		t.Fatal(err)
	}
	var list []mutate.IndexAddendum
	for _, text := range platforms {
		p, err := v1.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		img, err := random.Image(1000, 2)
		if err != nil {
			t.Fatal(err)
		}
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c = c.DeepCopy()
		c.OS, c.Architecture, c.Variant = p.OS, p.Architecture, p.Variant
		c.Config.Env, c.Config.User, c.Config.Labels = []string{"A=b"}, "1000", map[string]string{labelRevision: "of the base", "kept": "yes"}
		if img, err = mutate.ConfigFile(img, c); err != nil {
			t.Fatal(err)
		}
		list = append(list, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	if len(list) == 1 {
		img, _ := list[0].Add.(v1.Image)
		err = remote.Write(ref, img)
	} else {
		err = remote.WriteIndex(ref, mutate.AppendManifests(empty.Index, list...))
	}
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(t *testing.T, dir, base, to string) Options {
	return Options{
		Dir: dir, Base: base, To: to, Platform: []string{"linux/amd64"}, Temp: t.TempDir(), Cache: t.TempDir(), CacheSize: 1 << 30,
		Manifest: Manifest{
			Version: 1, Source: Source{Repository: "https://git.example.com/data/flows.git", Commit: strings.Repeat("a", 40), RefKind: "branch", Ref: "main", Time: commitTime},
			Flows: []Flow{{Name: "hello", Path: "flows/hello.py", Command: "python3 flows/hello.py"}}, Definition: json.RawMessage(`{"a":1}`),
		},
	}
}

func build(t *testing.T, o Options) *Built {
	t.Helper()
	b, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same commit and base give the same digest, wherever and whenever the checkout
// was made; a second push sends nothing.
func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	host := startRegistry(t, nil)
	base := pushBase(t, host, "linux/amd64")
	files := map[string]string{"flows/hello.py": "print('hello')\n", "README": "x", ".git/config": "secret", "sub/.git": "gitdir: ../.git/modules/sub\n", "sub/a": "1"}
	first := build(t, options(t, writeTree(t, files), base, host+"/flows/one:1"))
	other := writeTree(t, files)
	old := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(other, "README"), old, old); err != nil {
		t.Fatal(err)
	}
	again := build(t, options(t, other, base, host+"/flows/one:2"))
	if first.Digest != again.Digest || first.Digest == "" {
		t.Errorf("digests %s and %s", first.Digest, again.Digest)
	}
	if first.Uploaded == 0 || again.Uploaded != 0 {
		t.Errorf("sent %d bytes, then %d, want some and none", first.Uploaded, again.Uploaded)
	}
	if want := host + "/flows/one@" + first.Digest; first.Pinned != want {
		t.Errorf("pinned %s, want %s", first.Pinned, want)
	}
	files["README"] = "y"
	if changed := build(t, options(t, writeTree(t, files), base, host+"/flows/one:1")); changed.Digest == first.Digest {
		t.Error("another commit has the same digest")
	}
}

// entries reads what the layers of an image add, by path.
func entries(t *testing.T, image string) (map[string]*tar.Header, map[string]string, *v1.ConfigFile) {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	list, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	headers, texts := map[string]*tar.Header{}, map[string]string{}
	for _, l := range list[len(list)-2:] {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(content)
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			headers[h.Name], texts[h.Name] = h, string(data)
		}
		content.Close()
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return headers, texts, config
}

func TestBuildContents(t *testing.T) {
	t.Parallel()
	host := startRegistry(t, nil)
	dir := writeTree(t, map[string]string{"flows/hello.py": "print('hello')\n", ".git/config": "x"})
	if err := os.Chmod(filepath.Join(dir, "flows/hello.py"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := build(t, options(t, dir, pushBase(t, host, "linux/amd64"), host+"/flows/one:1"))
	headers, texts, config := entries(t, b.Pinned)
	var got []string
	for name, h := range headers {
		got = append(got, name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(commitTime) {
			t.Errorf("%s belongs to %d:%d (%q) and is of %s", name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
	}
	want := []string{"refline/", "refline/src/", "refline/src/flows/", "refline/src/flows/hello.py", "refline/flow.json", "refline/run", "refline/sbom.spdx.json"}
	if len(got) != len(want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	modes := map[string]int64{"refline/src/": 0o755, "refline/src/flows/hello.py": 0o755, "refline/run": 0o755, "refline/flow.json": 0o644}
	if runtime.GOOS == "windows" {
		delete(modes, "refline/src/flows/hello.py")
	}
	for name, mode := range modes {
		if h := headers[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v, want mode %o", name, h, mode)
		}
	}
	var sbom spdx
	if err := json.Unmarshal([]byte(texts["refline/sbom.spdx.json"]), &sbom); err != nil || len(sbom.Files) != 1 || sbom.Files[0].Name != "/refline/src/flows/hello.py" {
		t.Errorf("sbom %+v, %v", sbom, err)
	}
	labels := config.Config.Labels
	if labels[labelRevision] != strings.Repeat("a", 40) || labels[labelSource] != "https://git.example.com/data/flows.git" || labels["kept"] != "yes" {
		t.Errorf("labels %v", labels)
	}
	if config.Config.User != "1000" || config.Config.Env[0] != "A=b" || config.Config.Entrypoint[0] != runFile || config.Config.Cmd != nil {
		t.Errorf("config %+v", config.Config)
	}
	// The SBOM is found where tools look.
	ref, err := name.NewDigest(b.Pinned)
	if err != nil {
		t.Fatal(err)
	}
	referrers, err := remote.Referrers(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := referrers.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].ArtifactType != sbomType {
		t.Errorf("referrers %+v, %v", m, err)
	}
}

// What a repository holds cannot make the build read other files or write others in
// the image.
func TestHostileTrees(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links and modes of files are for others")
	}
	host := startRegistry(t, nil)
	base := pushBase(t, host, "linux/amd64")
	outside := writeTree(t, map[string]string{"secret": "of this computer"})
	dir := writeTree(t, map[string]string{"flows/hello.py": "x", "tool": "x"})
	for link, target := range map[string]string{"absolute": outside + "/secret", "up": "../../../../etc/passwd", "folder": outside, "flows/gone": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tool"), 0o777|os.ModeSetuid|os.ModeSetgid|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	b := build(t, options(t, dir, base, host+"/flows/one:1"))
	headers, texts, _ := entries(t, b.Pinned)
	for name, text := range texts {
		if strings.Contains(text, "of this computer") || !strings.HasPrefix(name, "refline/") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if h := headers["refline/src/tool"]; h == nil || h.Mode != 0o755 {
		t.Errorf("tool: %+v, want mode 755", h)
	}
	if h := headers["refline/src/absolute"]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != outside+"/secret" {
		t.Errorf("absolute: %+v, want the link as it is written", h)
	}
	if _, followed := headers["refline/src/folder/secret"]; followed {
		t.Error("a link to a folder was followed")
	}

	for _, bad := range []string{".wh.flows", "flows/.wh..wh..opq"} {
		dir := writeTree(t, map[string]string{"flows/hello.py": "x", bad: ""})
		_, err := Build(t.Context(), options(t, dir, base, host+"/flows/bad:1"))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	host := startRegistry(t, nil)
	base := pushBase(t, host, "linux/amd64", "linux/arm64")
	o := options(t, writeTree(t, map[string]string{"flows/hello.py": "x"}), base, host+"/flows/one:1")
	o.Platform = []string{"linux/amd64", "linux/arm64", "linux/amd64"}
	b := build(t, o)
	if d := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, b.Platforms); d != "" {
		t.Error(d)
	}
	opened, err := Open(t.Context(), host+"/flows/one:1", Access{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b.Platforms, opened.Platforms); d != "" || opened.Digest != b.Digest {
		t.Error(d, opened.Digest, b.Digest)
	}
	o.Platform = []string{"linux/s390x"}
	if _, err := Build(t.Context(), o); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
		t.Errorf("another platform: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	host := startRegistry(t, nil)
	base := pushBase(t, host, "linux/amd64")
	o := options(t, writeTree(t, map[string]string{"flows/hello.py": "x"}), base, host+"/flows/one:1")
	b := build(t, o)
	opened, err := Open(t.Context(), host+"/flows/one:1", Access{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(o.Manifest.Flows, opened.Manifest.Flows); d != "" || opened.Base != base {
		t.Error(d, opened.Base)
	}
	if pinned, err := opened.Pinned(); err != nil || pinned != b.Pinned {
		t.Errorf("pinned %s, %v, want %s", pinned, err, b.Pinned)
	}
	if digest, err := Digest(t.Context(), host+"/flows/one:1", Access{}); err != nil || digest != b.Digest {
		t.Errorf("digest %s, %v", digest, err)
	}
	for ref, want := range map[string]struct {
		kind errs.Kind
		text string
	}{
		base:                   {errs.Invalid, "it has no flows"},
		host + "/flows/none:1": {errs.NotFound, "no such image"},
		"a b":                  {errs.Invalid, "is not the name of an image"},
	} {
		if _, err := Open(t.Context(), ref, Access{}); !errs.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v, want %s: %s", ref, err, want.kind, want.text)
		}
	}
}

// Errors say what to do.
func TestBuildErrors(t *testing.T) {
	t.Parallel()
	host := startRegistry(t, nil)
	closed := startRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if _, password, _ := req.BasicAuth(); password != "right" {
				w.Header().Set("WWW-Authenticate", `Basic realm="closed"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	base := pushBase(t, host, "linux/amd64")
	dir := writeTree(t, map[string]string{"flows/hello.py": "x"})
	for _, c := range []struct {
		name, base, to, logins string
		kind                   errs.Kind
		text                   string
	}{
		{"no login", base, closed + "/flows:1", "", errs.Denied, "docker login " + closed},
		{"wrong login", base, closed + "/flows:1", `{"auths":{"` + closed + `":{"auth":"dTp3cm9uZw=="}}}`, errs.Denied, "docker login"},
		{"logins that are none", base, closed + "/flows:1", `[]`, errs.Invalid, "DOCKER_AUTH_CONFIG"},
		{"no base", host + "/base/none:3", host + "/flows:1", "", errs.NotFound, "base " + host + "/base/none:3"},
		{"no file", "none.tar", host + "/flows:1", "", errs.NotFound, "no file none.tar to build on"},
		{"no registry", base, "flows:1", "", errs.Invalid, "names no registry"},
		{"a digest", base, host + "/flows@sha256:" + strings.Repeat("a", 64), "", errs.Invalid, "not a name to push to"},
		{"nobody there", "127.0.0.1:1/base:1", host + "/flows:1", "", errs.Unavailable, "127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, dir, c.base, c.to)
			o.Access.Logins = []byte(c.logins)
			_, err := Build(t.Context(), o)
			if !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v (%s), want %s: %s", err, errs.KindOf(err), c.kind, c.text)
			}
			if err != nil && strings.Contains(err.Error(), "dTp3") {
				t.Error("the error has the login")
			}
		})
	}
	o := options(t, dir, base, closed+"/flows:1")
	o.Access.Logins = []byte(`{"auths":{"` + closed + `":{"auth":"dTpyaWdodA=="}}}`)
	build(t, o)
}

// A base is downloaded once, and what is kept of it is bounded.
func TestBaseLayersAreKept(t *testing.T) {
	t.Parallel()
	var layers atomic.Int64
	from := startRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
				layers.Add(1)
			}
			next.ServeHTTP(w, req)
		})
	})
	base := pushBase(t, from, "linux/amd64")
	o := options(t, writeTree(t, map[string]string{"a": "x"}), base, startRegistry(t, nil)+"/flows:1")
	build(t, o)
	first := layers.Load()
	o.To = startRegistry(t, nil) + "/flows:1"
	build(t, o)
	if again := layers.Load() - first; again != 1 || first != 3 { // only the configuration
		t.Errorf("read %d blobs of the base, then %d; want 3 and 1", first, again)
	}
	o.CacheSize, o.To = 500, startRegistry(t, nil)+"/flows:1"
	build(t, o)
	left, err := filepath.Glob(filepath.Join(o.Cache, "sha256-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
