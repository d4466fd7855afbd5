package docker

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"refline/internal/executor"
	"refline/internal/executor/treecopy"
)

// If the transfer container is removed (docker container prune does that), nothing
// is found in it, which says nothing about the job's files.
func TestLostTransferRemovesNothing(t *testing.T) {
	t.Parallel()
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such container: transfer"}`)
	}))
	defer lost.Close()
	api, err := client.New(client.WithHost("tcp://"+strings.TrimPrefix(lost.URL, "http://")), client.WithAPIVersion("1.44"))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	dir := t.TempDir()
	write(t, dir, "out/made", "the user's")
	p := treecopy.Packer{}
	if err := p.Pack(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	s := &sandbox{conn: &connection{api: api, host: lost.URL}, transfer: "transfer"}
	for _, back := range [][]string{nil, {"out"}, {"out/made"}} {
		v := &volume{Mount: executor.Mount{Source: dir, Back: back}, transfer: "/refline/0", sent: p.Sent}
		s.volumes = []*volume{v}
		if err := s.copyFromEngine(t.Context()); !errors.Is(err, executor.ErrLost) {
			t.Errorf("%v: got %v, want %v", back, err, executor.ErrLost)
		}
		if _, err := os.Stat(filepath.Join(dir, "out/made")); err != nil {
			t.Fatalf("%v: %v", back, err)
		}
	}
}
