package logfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/blob/s3"
	"refline/internal/errs"
	"refline/internal/logfile"
)

// eachStore runs a test over the folder of blobs and, where there is moto, S3.
func eachStore(t *testing.T, test func(t *testing.T, blobs blob.Store)) {
	t.Run("folder", func(t *testing.T) { test(t, folderOfBlobs(t)) })
	t.Run("s3", func(t *testing.T) {
		moto := os.Getenv("REFLINE_TEST_MOTO")
		if moto == "" {
			t.Skip("REFLINE_TEST_MOTO is not set: run the tests by scripts/with-moto, which installs and starts moto")
		}
		for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_PROFILE": "",
			"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"} {
			t.Setenv(name, value)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, moto+"/refline-logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		s, err := s3.Open(t.Context(), "s3://refline-logs/t"+strconv.FormatInt(time.Now().UnixNano(), 36)+"?endpoint="+moto)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

func folderOfBlobs(t testing.TB) blob.Store {
	t.Helper()
	f, err := blob.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// openShared is a folder of logs of one of several servers.
func openShared(t testing.TB, blobs blob.Store) *logfile.Dir {
	t.Helper()
	d := open(t, t.TempDir(), 0)
	d.UseBlobs(blobs)
	return d
}

func ship(t testing.TB, d *logfile.Dir, want int64) {
	t.Helper()
	if got, err := d.Ship(t.Context(), id); err != nil || got != want {
		t.Fatalf("shipped %d, %v; want %d", got, err, want)
	}
}

// longText is a log of so many bytes whose lines have their numbers.
func longText(size int) string {
	var b strings.Builder
	for i := 1; b.Len() < size; i++ {
		fmt.Fprintf(&b, "line %d of a log that is long enough for several members\n", i)
	}
	return b.String()[:size]
}

const member = 4 << 20

// What was shipped is what was appended, at each moment, and a new server goes on
// where another one ended.
func TestShip(t *testing.T) {
	eachStore(t, func(t *testing.T, blobs blob.Store) {
		text := longText(2*member + 1000)
		d := openShared(t, blobs)
		at := 0
		for _, to := range []int{10, 10, 5000, member - 1, member, member + 1, 2*member + 1000} {
			if to > at {
				add(t, d, int64(at), text[at:to])
				at = to
			}
			ship(t, d, int64(at))
			other := openShared(t, blobs) // has nothing in its folder
			if got := content(t, other); got != text[:at] {
				t.Fatalf("after %d bytes: read %d, another text", at, len(got))
			}
			if size, err := other.Size(id); err != nil || size != int64(at) {
				t.Errorf("size %d, %v; want %d", size, err, at)
			}
		}
		// As few blobs as there can be, and a gzip file all together.
		keys := blobtest.Keys(t, blobs, "", "")
		if len(keys) != 3 {
			t.Errorf("members: %q", keys)
		}
		var all bytes.Buffer
		for _, key := range keys {
			all.Write(blobtest.Read(t, blobs, key, blob.Range{}))
		}
		z, err := gzip.NewReader(&all)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != text {
			t.Errorf("all members: %d bytes, %v", len(got), err)
		}
	})
}

// The server that has the log's lease is gone; another one goes on, and the
// runner sends again from what was durable.
func TestAnotherServerGoesOn(t *testing.T) {
	eachStore(t, func(t *testing.T, blobs blob.Store) {
		text := longText(member + 3000)
		first := openShared(t, blobs)
		add(t, first, 0, text[:member+1000])
		ship(t, first, member+1000)
		add(t, first, member+1000, text[member+1000:member+1500]) // never shipped

		second := openShared(t, blobs)
		if n, err := second.Append(id, member+2000, []byte(text[member+2000:])); n != member+1000 || !errs.Is(err, errs.Conflict) {
			t.Errorf("a gap: %d, %v; want %d and a conflict", n, err, member+1000)
		}
		add(t, second, member+1000, text[member+1000:])
		ship(t, second, member+3000)
		if got := content(t, openShared(t, blobs)); got != text {
			t.Errorf("read %d bytes, another text", len(got))
		}
		// The first one was only slow: it harms nothing.
		ship(t, first, member+1500)
		if got := content(t, openShared(t, blobs)); got != text {
			t.Errorf("after the slow one: read %d bytes, another text", len(got))
		}
	})
}

// A crash between two steps leaves a log that can be read, and shipped on.
func TestShipAfterACrash(t *testing.T) {
	text := longText(2*member + 500)
	for name, c := range map[string]struct{ before, left int }{
		"the shorter member is still there": {100, 100},
		"at the end of a member":            {member, member},
		"in the second member":              {member + 10, member + 10},
		"the folder is behind":              {member + 10, 50},
		"the folder is gone":                {member + 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			blobs := folderOfBlobs(t)
			path := t.TempDir()
			first := open(t, path, 0)
			first.UseBlobs(blobs)
			add(t, first, 0, text[:c.before])
			ship(t, first, int64(c.before))
			shorter := blobtest.Keys(t, blobs, "", "")
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(path, "7", "12.log"), int64(c.left)); err != nil {
				t.Fatal(err)
			}
			if c.left == 0 {
				if err := os.RemoveAll(filepath.Join(path, "7")); err != nil {
					t.Fatal(err)
				}
			}
			second := open(t, path, 0)
			second.UseBlobs(blobs)
			add(t, second, int64(c.before), text[c.before:])
			last := shorter[len(shorter)-1]
			old := blobtest.Read(t, blobs, last, blob.Range{})
			ship(t, second, int64(len(text)))
			blobtest.Put(t, blobs, last, old) // as if it was not deleted
			if got := content(t, openShared(t, blobs)); got != text {
				t.Errorf("read %d bytes, another text", len(got))
			}
		})
	}
}

// A finished log is read from the blobs as it was from the folder.
func TestArchive(t *testing.T) {
	eachStore(t, func(t *testing.T, blobs blob.Store) {
		text := longText(2*member+777) + "\nthe end, without a line break"
		path := t.TempDir()
		d := open(t, path, 0)
		d.UseBlobs(blobs)
		add(t, d, 0, text)
		want := linesAt(t, d)
		followed := make(chan string, 1)
		go func() { followed <- follow(t, d, 0) }()
		a, err := d.Archive(t.Context(), id, nothing)
		if err != nil {
			t.Fatal(err)
		}
		sum, _ := blob.SumOf(strings.NewReader(text))
		if a.Prefix != "log/7/12/" || a.Bytes != sum.Size || a.SHA256 != sum.SHA256 || a.Lines != int64(strings.Count(text, "\n")) || a.StoredBytes <= 0 || a.StoredBytes > a.Bytes/2 {
			t.Errorf("got %+v", a)
		}
		if got := <-followed; got != text {
			t.Errorf("a follower got %d bytes", len(got))
		}
		if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
			t.Errorf("left in the folder: %v, %v", left, err)
		}
		again, err := d.Archive(t.Context(), id, nothing)
		if err != nil || again != a {
			t.Errorf("again: %+v, %v", again, err)
		}
		for _, f := range []func() error{func() error { return d.Finish(id) }, func() error { return nil }} {
			if err := f(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, d); got != text {
				t.Errorf("read %d bytes", len(got))
			}
			if got := linesAt(t, d); got != want {
				t.Errorf("lines:\n%s\nwant\n%s", got, want)
			}
			if got := follow(t, d, member+5); got != text[member+5:] {
				t.Errorf("followed %d bytes", len(got))
			}
		}
		hits, more, err := d.Search(t.Context(), id, func(text []byte) bool {
			return bytes.Contains(text, []byte("line 100000 ")) || bytes.HasPrefix(text, []byte("the end"))
		})
		if err != nil || more || len(hits) != 2 || hits[0].Number != 100000 {
			t.Errorf("hits: %+v, %v, %v", hits, more, err)
		}
		r, err := d.Reader(id, int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("behind the end: %q, %v", rest, err)
		}
		// A late byte opens it again.
		add(t, d, int64(len(text)), "!")
		if got := content(t, d); got != text+"!" {
			t.Errorf("after a late byte: %d bytes", len(got))
		}
		if a, err = d.Archive(t.Context(), id, nothing); err != nil || a.Bytes != int64(len(text))+1 {
			t.Errorf("archived again: %+v, %v", a, err)
		}
		if err := d.Clear(id); err != nil {
			t.Fatal(err)
		}
		if got := blobtest.Keys(t, blobs, "", ""); len(got) > 0 {
			t.Errorf("cleared, and yet there is %q", got)
		}
		add(t, d, 0, "new")
		ship(t, d, 3)
		if got := content(t, openShared(t, blobs)); got != "new" {
			t.Errorf("after the clearing: %q", got)
		}
	})
}

// linesAt reads lines of several places.
func linesAt(t *testing.T, d *logfile.Dir) string {
	t.Helper()
	var all strings.Builder
	for _, from := range []int64{1, 2, 1000, 70_000, 72_000, 140_000, 200_000} {
		lines, err := d.Lines(id, from, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			fmt.Fprintf(&all, "%d: %d %d %s\n", from, l.Number, l.Offset, l.Text)
		}
	}
	return all.String()
}

func follow(t *testing.T, d *logfile.Dir, offset int64) string {
	var got bytes.Buffer
	err := d.Follow(t.Context(), id, offset, func(at int64, data []byte) error {
		if at != offset+int64(got.Len()) {
			return errors.New("a chunk is not where the last one ended")
		}
		got.Write(data)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return got.String()
}

func nothing(logfile.Archived) error { return nil }

// TestArchiveKeepsOnError: a log whose row could not be written stays in the folder, and
// the beginning of a log that another server went on with does not hide the rest.
func TestArchiveKeepsOnError(t *testing.T) {
	t.Parallel()
	blobs := folderOfBlobs(t)
	path := t.TempDir()
	d := open(t, path, 0)
	d.UseBlobs(blobs)
	add(t, d, 0, "one\n")
	ship(t, d, 4)
	if err := d.Finish(id); err != nil {
		t.Fatal(err)
	}
	other := openShared(t, blobs)
	if n, err := other.Append(id, 4, []byte("two\n")); err != nil || n != 8 {
		t.Fatalf("the other server: %d, %v", n, err)
	}
	if _, err := other.Archive(t.Context(), id, nothing); err != nil {
		t.Fatal(err)
	}
	fault := errors.New("the database does not answer")
	if _, err := d.Archive(t.Context(), id, func(logfile.Archived) error { return fault }); !errors.Is(err, fault) {
		t.Errorf("got %v, want the error of keep", err)
	}
	here := func() (list []logfile.ID) {
		for id, err := range d.Here() {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, id)
		}
		return list
	}
	if got := here(); len(got) != 1 || got[0] != id {
		t.Errorf("in the folder: %v, want %v", got, id)
	}
	a, err := d.Archive(t.Context(), id, nothing)
	if err != nil || a.Bytes != 8 || a.Lines != 2 {
		t.Errorf("got %+v, %v; want 8 bytes, 2 lines", a, err)
	}
	if got := content(t, d); got != "one\ntwo\n" || len(here()) != 0 {
		t.Errorf("got %q, in the folder %v", got, here())
	}
}

func TestArchiveOfNothing(t *testing.T) {
	t.Parallel()
	d := openShared(t, folderOfBlobs(t))
	for _, f := range []func() error{func() error { return nil }, func() error { return d.Finish(id) }} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if a, err := d.Archive(t.Context(), id, nothing); err != nil || a.Bytes != 0 {
			t.Errorf("got %+v, %v", a, err)
		}
	}
	if _, err := d.Reader(logfile.ID{Run: 9, Attempt: 9}, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("none: %v", err)
	}
}

// A damaged member is an error, not a shorter log.
func TestDamagedMember(t *testing.T) {
	t.Parallel()
	blobs := folderOfBlobs(t)
	d := openShared(t, blobs)
	text := longText(member + 100)
	add(t, d, 0, text)
	if _, err := d.Archive(t.Context(), id, nothing); err != nil {
		t.Fatal(err)
	}
	keys := blobtest.Keys(t, blobs, "", "")
	whole := blobtest.Read(t, blobs, keys[0], blob.Range{})
	var other bytes.Buffer
	z := gzip.NewWriter(&other)
	_, _ = io.WriteString(z, "a text that ends early\n")
	_ = z.Close()
	for name, data := range map[string][]byte{
		"a byte": append(append(bytes.Clone(whole[:1000]), whole[1000]^1), whole[1001:]...),
		"cut":    whole[:len(whole)-20],
		"other":  other.Bytes(),
		"none":   nil,
	} {
		blobtest.Put(t, blobs, keys[0], data)
		r, err := d.Reader(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err == nil {
			t.Errorf("%s: read %d bytes without an error", name, len(got))
		}
		_ = r.Close()
	}
	if err := blobs.Delete(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reader(id, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("without its beginning: %v", err)
	}
}

// A member that is replaced after a reader found it is read from the new one.
func TestReadWhileAMemberIsReplaced(t *testing.T) {
	t.Parallel()
	blobs := folderOfBlobs(t)
	d := openShared(t, blobs)
	text := longText(member + 2000)
	add(t, d, 0, text[:member+1000])
	ship(t, d, member+1000)
	r, err := openShared(t, blobs).Reader(id, member+500)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	add(t, d, member+1000, text[member+1000:])
	ship(t, d, member+2000)
	if got, err := io.ReadAll(r); err != nil || string(got) != text[member+500:] {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// A store that fails keeps nothing from being appended, and what was not shipped
// is shipped later.
func TestShipFails(t *testing.T) {
	t.Parallel()
	blobs := &failingStore{Store: folderOfBlobs(t)}
	d := openShared(t, blobs)
	text := longText(member + 100)
	for i := range 20 {
		part := len(text) / 20
		blobs.fail = i%3 != 0
		add(t, d, int64(i*part), text[i*part:(i+1)*part])
		durable, err := d.Ship(t.Context(), id)
		if blobs.fail && (err == nil || durable > int64(i*part)) || !blobs.fail && (err != nil || durable != int64((i+1)*part)) {
			t.Errorf("%d: durable %d, %v", i, durable, err)
		}
	}
	if _, err := d.Archive(t.Context(), id, nothing); err == nil {
		t.Error("archived without a store")
	}
	blobs.fail = false
	a, err := d.Archive(t.Context(), id, nothing)
	if err != nil || a.Bytes != int64(len(text)/20*20) {
		t.Errorf("%+v, %v", a, err)
	}
	if got := content(t, d); got != text[:a.Bytes] {
		t.Errorf("read %d bytes, another text", len(got))
	}
}

type failingStore struct {
	blob.Store
	fail bool
}

func (f *failingStore) Put(ctx context.Context, key string, sum blob.Sum, content io.Reader) error {
	if f.fail {
		return errs.E(errs.Unavailable, "no connection")
	}
	return f.Store.Put(ctx, key, sum, content)
}

// Writers, a shipper and readers at once.
func TestShipWhileItGrows(t *testing.T) {
	t.Parallel()
	blobs := folderOfBlobs(t)
	d := openShared(t, blobs)
	text := longText(member + 50_000)
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		for at := 0; at < len(text); {
			to := min(at+30_000, len(text))
			add(t, d, int64(at), text[at:to])
			at = to
		}
	})
	group.Go(func() {
		for durable := int64(0); durable < int64(len(text)); {
			n, err := d.Ship(t.Context(), id)
			if err != nil && !errs.Is(err, errs.NotFound) {
				t.Error(err)
				return
			}
			durable = n
			other := openShared(t, blobs)
			r, err := other.Reader(id, 0)
			if errs.Is(err, errs.NotFound) && durable == 0 {
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			got, err := io.ReadAll(r)
			if err != nil || !strings.HasPrefix(text, string(got)) || int64(len(got)) != durable {
				t.Errorf("shipped %d, read %d, %v", durable, len(got), err)
				return
			}
		}
	})
	group.Wait()
	<-done
}
