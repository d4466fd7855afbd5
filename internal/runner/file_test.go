//go:build unix

package runner_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/pipeline"
	"refline/internal/refltest"
)

// beside is a store of blobs to which runners send past the server, as S3 does.
type beside struct {
	*blob.Folder
	url        string
	sent, read atomic.Int64
}

func (b *beside) Upload(_ context.Context, key string, sum blob.Sum, _ time.Duration) (*blob.Request, error) {
	return &blob.Request{Method: http.MethodPut, URL: b.url + "/" + key, Header: map[string]string{"X-Sum": sum.SHA256}}, nil
}

func (b *beside) Download(_ context.Context, key string, _ time.Duration) (*blob.Request, error) {
	return &blob.Request{Method: http.MethodGet, URL: b.url + "/" + key}, nil
}

func (b *beside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		http.Error(w, "this place must not see the runner's token", http.StatusBadRequest)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	if r.Method == http.MethodPut {
		b.sent.Add(1)
		err := b.Put(r.Context(), key, blob.Sum{Size: r.ContentLength, SHA256: r.Header.Get("X-Sum")}, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		return
	}
	b.read.Add(1)
	content, err := b.Open(r.Context(), key, blob.Range{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(text)))
}

// TestFiles: artifacts, variables of dotenv reports and caches go from job to job and
// from run to run, over the server and past it.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, past := range []bool{false, true} {
		name := map[bool]string{false: "server", true: "past the server"}[past]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := refltest.Options{TCP: true}
			store := &beside{}
			if past {
				folder, err := blob.OpenFolder(filepath.Join(t.TempDir(), "beside"))
				if err != nil {
					t.Fatal(err)
				}
				store.Folder = folder
				web := httptest.NewServer(store)
				t.Cleanup(func() { web.Close(); _ = folder.Close() })
				store.url, options.Blobs = web.URL, store
			}
			s := refltest.Start(t, options)
			o := s.RunnerOptions()
			o.Token = func() string { return "secret" }
			s.Runner(o)
			cached := pipeline.Cache{Key: pipeline.CacheKey{Text: "deps"}, Paths: []string{"deps/"}, Policy: "pull-push"}
			p := refltest.Jobs(
				pipeline.Job{Name: "make", Caches: []pipeline.Cache{cached}, Script: []string{
					"mkdir -p out deps; echo content >out/file; ls deps; echo hit >>deps/$CI_JOB_ID; echo WHO=made >made.env; head -c 300000 /dev/urandom >out/large",
				}, Artifacts: &pipeline.Artifacts{Paths: []string{"out/"}, Reports: map[string][]string{"dotenv": {"made.env"}}, ExpireIn: "1 day"}},
				pipeline.Job{Name: "take", DAG: true, Needs: []pipeline.Need{{Job: "make", Artifacts: true}}, Script: []string{
					`[ "$(cat out/file) $WHO $(wc -c <out/large)" = "content made 300000" ]`,
				}},
			)
			first := s.Create(p)
			second := s.Create(p)
			for _, r := range []int64{first.ID, second.ID} {
				if got := s.Wait(r).Status; got != pipeline.StatusSuccess {
					for _, a := range s.Attempts(r) {
						t.Log(s.Log(r, a.ID))
					}
					t.Fatalf("run %d: status %s, want success", r, got)
				}
			}
			a := s.Attempts(first.ID)[0]
			if log := s.Log(second.ID, s.Attempts(second.ID)[0].ID); !strings.Contains(log, "\n"+"1\n") {
				t.Errorf("the second run's first job did not get the cache of the first (attempt %d): %s", a.ID, log)
			}
			row, err := s.Store.Artifacts(t.Context(), a.ID)
			if err != nil || row.Files < 2 || len(row.Reports["dotenv"]) != 1 || row.Expires.IsZero() {
				t.Errorf("artifacts %+v, %v", row, err)
			}
			if past && (store.sent.Load() == 0 || store.read.Load() == 0) {
				t.Errorf("%d sent and %d read past the server, want some", store.sent.Load(), store.read.Load())
			}
			s.Check()
		})
	}
}
