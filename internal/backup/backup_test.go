package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/backup"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/refltest"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// dump lists every row of a database.
func dump(t *testing.T, s *store.Store) []string {
	t.Helper()
	var lines []string
	err := s.Dump(context.Background(), func(c store.Chunk) error {
		for _, row := range c.Rows {
			var cells []string
			for i, name := range c.Columns {
				cells = append(cells, fmt.Sprintf("%s=%v", name, row[i]))
			}
			sort.Strings(cells) // columns may be in another order
			lines = append(lines, c.Table+": "+strings.Join(cells, " "))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return lines
}

func folder(t *testing.T, dir string) *blob.Folder {
	t.Helper()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestUnderLoad: a backup that is taken while runs are made and end is of one moment,
// and restores into both databases, whichever it came from.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		blobs := folder(t, filepath.Join(dir, "other-blobs"))
		s := refltest.Start(t, refltest.Options{Database: address, Dir: dir, Blobs: blobs})
		o := s.RunnerOptions()
		o.Slots = 4
		s.Runner(o)
		text := strings.Repeat("an artifact\n", 1000)
		sum := sha256.Sum256([]byte(text))
		if err := blobs.Put(t.Context(), "artifact/1/abc", blob.Sum{Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		s.Wait(s.Create(refltest.Script("echo first")).ID)
		stop := make(chan struct{})
		var load sync.WaitGroup
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.Wait(s.Create(refltest.Script("echo more")).ID)
				}
			}
		})
		var out bytes.Buffer
		wrote, err := backup.Write(t.Context(), &out, backup.Source{Store: s.Store, Blobs: blobs, Logs: filepath.Join(dir, "logs"), Version: "test", Now: time.Now})
		close(stop)
		load.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if wrote.Blobs != 1 || wrote.Logs == 0 || wrote.Rows == 0 {
			t.Errorf("wrote %+v; want rows, a blob and logs", wrote)
		}
		storetest.Each(t, func(t *testing.T, address string) {
			into := storetest.Open(t, address)
			dir := t.TempDir()
			target := backup.Target{Store: into, Blobs: folder(t, filepath.Join(dir, "blobs")), Logs: filepath.Join(dir, "logs"), KeyFile: filepath.Join(dir, "secret-keys")}
			read, err := backup.Read(t.Context(), bytes.NewReader(out.Bytes()), target)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wrote, read); diff != "" {
				t.Errorf("read something else than was written (-want +got):\n%s", diff)
			}
			broken, err := into.Check(t.Context())
			if err != nil || len(broken) > 0 {
				t.Errorf("the restored database is not consistent: %v\n%s", err, strings.Join(broken, "\n"))
			}
			content, err := target.Blobs.Open(t.Context(), "artifact/1/abc", blob.Range{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(content)
			_ = content.Close()
			if err != nil || string(got) != text {
				t.Errorf("the blob has %d bytes, %v; want %d", len(got), err, len(text))
			}
			logs, err := filepath.Glob(filepath.Join(target.Logs, "*", "*.log"))
			if err != nil || int64(len(logs)) != wrote.Logs {
				t.Fatalf("%d logs, %v; want %d", len(logs), err, wrote.Logs)
			}
			if log, err := os.ReadFile(logs[0]); err != nil || !strings.Contains(string(log), "echo") {
				t.Errorf("log %q, %v", log, err)
			}
			if ids, err := into.NewIDs(t.Context(), "run", 1); err != nil || ids[0] <= 1 {
				t.Errorf("the next run is %v, %v; want a new id", ids, err)
			}
			_, err = backup.Read(t.Context(), bytes.NewReader(out.Bytes()), target)
			if !errs.Is(err, errs.Conflict) {
				t.Errorf("a second restore: got %v, want a conflict", err)
			}
		})
	})
}

// TestSameRows: a restored database has the rows of the old one, on either kind.
func TestSameRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		s := refltest.Start(t, refltest.Options{Database: address, Dir: dir})
		stop := s.Runner(s.RunnerOptions())
		for range 3 {
			s.Wait(s.Create(refltest.Script(`printf 'caf\303\251 \001\n'`, "false")).ID)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		from := storetest.Open(t, address)
		want := dump(t, from)
		var out bytes.Buffer
		if _, err := backup.Write(t.Context(), &out, backup.Source{Store: from, Blobs: folder(t, filepath.Join(dir, "none")), Logs: filepath.Join(dir, "logs"), Version: "test", Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		storetest.Each(t, func(t *testing.T, address string) {
			into := storetest.Open(t, address)
			dir := t.TempDir()
			_, err := backup.Read(t.Context(), bytes.NewReader(out.Bytes()), backup.Target{Store: into, Blobs: folder(t, filepath.Join(dir, "blobs")), Logs: filepath.Join(dir, "logs"), KeyFile: filepath.Join(dir, "k")})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, dump(t, into)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	})
}

// TestCutAnywhere: a stream that ends early leaves an empty database, wherever it is
// cut; one with a changed byte is refused or, after its end, the same.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	from := storetest.Open(t, filepath.Join(t.TempDir(), "refline.db"))
	if _, err := from.NewIDs(t.Context(), "run", 5); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := backup.Write(t.Context(), &out, backup.Source{Store: from, Blobs: folder(t, t.TempDir()), Logs: t.TempDir(), Version: "test", Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	into := storetest.Open(t, filepath.Join(t.TempDir(), "refline.db"))
	before := dump(t, into)
	target := backup.Target{Store: into, Blobs: folder(t, t.TempDir()), Logs: t.TempDir(), KeyFile: filepath.Join(t.TempDir(), "k")}
	for n := 0; n < out.Len(); n += 7 {
		if _, err := backup.Read(t.Context(), bytes.NewReader(out.Bytes()[:n]), target); !errs.Is(err, errs.Invalid) {
			t.Errorf("cut after %d of %d bytes: got %v, want invalid", n, out.Len(), err)
		}
	}
	if diff := cmp.Diff(before, dump(t, into)); diff != "" {
		t.Errorf("something was restored (-want +got):\n%s", diff)
	}
	if _, err := backup.Read(t.Context(), &out, target); err != nil {
		t.Errorf("the whole stream: %v", err)
	}
}

// FuzzRead: whatever is read, there is an error or a whole database.
func FuzzRead(f *testing.F) {
	from, err := store.Open(context.Background(), filepath.Join(f.TempDir(), "refline.db"))
	if err != nil {
		f.Fatal(err)
	}
	defer from.Close()
	blobs, err := blob.OpenFolder(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := backup.Write(context.Background(), &out, backup.Source{Store: from, Blobs: blobs, Logs: f.TempDir(), Version: "test", Now: time.Now}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("x"))
	into, err := store.Open(context.Background(), filepath.Join(f.TempDir(), "refline.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = into.Close() })
	logs := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		sum, err := backup.Read(t.Context(), bytes.NewReader(data), backup.Target{Store: into, Blobs: blobs, Logs: logs, KeyFile: filepath.Join(logs, "k")})
		if err == nil && sum.Format != backup.Format {
			t.Errorf("restored something that is not a backup: %+v", sum)
		}
	})
}

// movingBlobs moves a log from its folder to the blobs after they were listed.
type movingBlobs struct {
	blob.Store
	move func()
}

func (m movingBlobs) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range m.Store.List(ctx, prefix, after) {
			if !yield(info, err) {
				return
			}
		}
		m.move()
	}
}

// TestLogMovesMeanwhile: a log that moves to the blob store during a backup was in
// neither part of it.
func TestLogMovesMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := storetest.Open(t, filepath.Join(dir, "refline.db"))
	logs := filepath.Join(dir, "logs")
	path := filepath.Join(logs, "7", "12.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blobs := movingBlobs{Store: folder(t, filepath.Join(dir, "blobs")), move: func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}}
	wrote, err := backup.Write(t.Context(), io.Discard, backup.Source{Store: s, Blobs: blobs, Logs: logs, Version: "test", Now: time.Now})
	if err != nil || wrote.Logs != 1 {
		t.Errorf("wrote %+v, %v; want a log", wrote, err)
	}
}
