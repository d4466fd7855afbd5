package docker

import (
	"bytes"
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
)

// An archive that was cut off between two files looks like a short one. What it
// lacks is not gone.
func TestCutArchiveRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newTwo(t, false, map[string]string{"a": "1", "b": "2"}, nil)
	var archive bytes.Buffer
	if err := (&packer{}).pack(&archive, w.there); err != nil {
		t.Fatal(err)
	}
	whole := prefixed(t, archive.Bytes())
	for blocks := 0; blocks*512 < len(whole); blocks++ {
		root, err := os.OpenRoot(w.here)
		if err != nil {
			t.Fatal(err)
		}
		u := &unpacker{root: root, at: ".", sent: w.packer.sent}
		if err := u.unpack(bytes.NewReader(whole[:blocks*512])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want %v", blocks*512, len(whole), err, io.ErrUnexpectedEOF)
		}
		root.Close()
	}
	w.is(map[string]string{"a": "1", "b": "2"})
}

// Somebody removes the courier (docker container prune does): nothing is found
// by it any more, and that says nothing of the job's files.
func TestLostCourierRemovesNothing(t *testing.T) {
	t.Parallel()
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such container: courier"}`)
	}))
	defer lost.Close()
	api, err := client.New(client.WithHost("tcp://"+strings.TrimPrefix(lost.URL, "http://")), client.WithAPIVersion("1.44"))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	dir := t.TempDir()
	write(t, dir, "out/made", "the user's")
	p := packer{}
	if err := p.pack(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	s := &sandbox{conn: &connection{api: api, host: lost.URL}, transfer: "courier"}
	for _, back := range [][]string{nil, {"out"}, {"out/made"}} {
		v := &volume{Mount: executor.Mount{Source: dir, Back: back}, transfer: "/refline/0", sent: p.sent}
		s.volumes = []*volume{v}
		if err := s.copyFromEngine(t.Context()); !errors.Is(err, executor.ErrLost) {
			t.Errorf("%v: got %v, want %v", back, err, executor.ErrLost)
		}
		if _, err := os.Stat(filepath.Join(dir, "out/made")); err != nil {
			t.Fatalf("%v: %v", back, err)
		}
	}
}
