// Package blobtest is the suite that every [blob.Store] passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"refline/internal/blob"
	"refline/internal/errs"
)

// Content gives bytes that do not compress, always the same ones.
func Content(n int) ([]byte, blob.Sum) {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	sum, _ := blob.SumOf(bytes.NewReader(data))
	return data, sum
}

// Put puts bytes.
func Put(t testing.TB, s blob.Store, key string, data []byte) blob.Sum {
	t.Helper()
	sum, err := blob.SumOf(bytes.NewReader(data))
	if err == nil {
		err = s.Put(t.Context(), key, sum, bytes.NewReader(data))
	}
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return sum
}

// Read reads a part of a blob.
func Read(t testing.TB, s blob.Store, key string, r blob.Range) []byte {
	t.Helper()
	body, err := s.Open(t.Context(), key, r)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return data
}

// Keys lists the keys with a prefix.
func Keys(t testing.TB, s blob.Store, prefix, after string) []string {
	t.Helper()
	keys := []string{}
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// Suite tests a store. open opens an empty one; large is how many bytes a blob
// has that the store puts in parts.
func Suite(t *testing.T, large int, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"a blob comes back, whole and in parts": comesBack,
		"what is not as announced is refused":   refused,
		"a blob is replaced":                    replaced,
		"a blob is deleted":                     deleted,
		"what is not there":                     notThere,
		"keys are checked everywhere":           keys,
		"a list is in order and by prefix":      list,
		"requests of others":                    requests,
		"a large one":                           func(t *testing.T, s blob.Store) { largeOne(t, s, large) },
		"a canceled one":                        canceled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func comesBack(t *testing.T, s blob.Store) {
	for _, size := range []int{0, 1, 1000, 300_000} {
		data, _ := Content(size)
		key := fmt.Sprintf("a/%d/x.tar.zst", size)
		sum := Put(t, s, key, data)
		for _, r := range []blob.Range{{}, {Length: 1}, {Offset: 1, Length: 10}, {Offset: 500}, {Offset: 999, Length: 1}, {Offset: 999, Length: 1000}, {Offset: 1000}, {Offset: 1 << 40, Length: 5}} {
			want := data[min(r.Offset, int64(size)):]
			if r.Length > 0 {
				want = want[:min(r.Length, int64(len(want)))]
			}
			if got := Read(t, s, key, r); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, range %v: got %d bytes, want %d", size, r, len(got), len(want))
			}
		}
		info, err := s.Stat(t.Context(), key)
		if err != nil || info.Key != key || info.Size != int64(size) || time.Since(info.Modified).Abs() > time.Hour {
			t.Errorf("stat: %+v, %v", info, err)
		}
		if info.SHA256 != "" && info.SHA256 != sum.SHA256 {
			t.Errorf("stat has the sum %s, want %s", info.SHA256, sum.SHA256)
		}
		if err := blob.Verify(t.Context(), s, key, sum); err != nil {
			t.Errorf("verify: %v", err)
		}
		sum.SHA256 = strings.Repeat("0", 64)
		if err := blob.Verify(t.Context(), s, key, sum); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("verify with another sum: %v", err)
		}
	}
	if _, err := s.Open(t.Context(), "a/1/x.tar.zst", blob.Range{Offset: -1}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a negative offset: %v", err)
	}
}

func refused(t *testing.T, s blob.Store) {
	data, sum := Content(100_000)
	broken := errors.New("the sender is gone")
	for name, c := range map[string]struct {
		sum     blob.Sum
		content io.Reader
		want    error // nil: of kind Invalid
	}{
		"too long":    {sum, io.MultiReader(bytes.NewReader(data), strings.NewReader("x")), nil},
		"too short":   {sum, bytes.NewReader(data[:99_999]), nil},
		"another":     {sum, bytes.NewReader(append([]byte("x"), data[1:]...)), nil},
		"not a sum":   {blob.Sum{Size: sum.Size, SHA256: strings.ToUpper(sum.SHA256)}, bytes.NewReader(data), nil},
		"below zero":  {blob.Sum{Size: -1, SHA256: sum.SHA256}, bytes.NewReader(data), nil},
		"endless":     {sum, endless{}, nil},
		"interrupted": {sum, io.MultiReader(bytes.NewReader(data[:50_000]), iotest.ErrReader(broken)), broken},
	} {
		err := s.Put(t.Context(), "k", c.sum, c.content)
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if got := Keys(t, s, "", ""); len(got) > 0 {
			t.Fatalf("%s: left behind: %q", name, got)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func replaced(t *testing.T, s blob.Store) {
	Put(t, s, "k", []byte("first"))
	Put(t, s, "k", []byte("second, longer"))
	if got := Read(t, s, "k", blob.Range{}); string(got) != "second, longer" {
		t.Errorf("got %q", got)
	}
	_, sum := Content(10)
	if err := s.Put(t.Context(), "k", sum, strings.NewReader("not what it says")); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
	if got := Read(t, s, "k", blob.Range{}); string(got) != "second, longer" {
		t.Errorf("after a refused one: %q", got)
	}
}

func deleted(t *testing.T, s blob.Store) {
	Put(t, s, "a/b/c", []byte("1"))
	Put(t, s, "a/b", []byte("2")) // not in the way of the other
	Put(t, s, "a/d", []byte("3"))
	for _, step := range []struct {
		key  string
		left []string
	}{{"a/b/c", []string{"a/b", "a/d"}}, {"a/b/c", []string{"a/b", "a/d"}}, {"a/b", []string{"a/d"}}, {"a/d", []string{}}, {"never", []string{}}} {
		if err := s.Delete(t.Context(), step.key); err != nil {
			t.Errorf("delete %s: %v", step.key, err)
		}
		if got := Keys(t, s, "", ""); !slices.Equal(got, step.left) {
			t.Errorf("after %s: %q, want %q", step.key, got, step.left)
		}
	}
}

func notThere(t *testing.T, s blob.Store) {
	Put(t, s, "a/b", []byte("x"))
	for _, key := range []string{"a", "a/b/c", "none", "a/none"} {
		if _, err := s.Open(t.Context(), key, blob.Range{}); !errs.Is(err, errs.NotFound) {
			t.Errorf("open %s: %v", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errs.Is(err, errs.NotFound) {
			t.Errorf("stat %s: %v", key, err)
		}
	}
}

func keys(t *testing.T, s blob.Store) {
	_, sum := Content(0)
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.b", "A", "a b", "a\\b", "ü", "a\x00", "con", "a/nul.txt", "com1", "a.", "a.blob", "a.blob/b", strings.Repeat("a", 201), strings.Repeat("a/", 256) + "a"} {
		put := s.Put(t.Context(), key, sum, strings.NewReader(""))
		_, open := s.Open(t.Context(), key, blob.Range{})
		_, stat := s.Stat(t.Context(), key)
		_, upload := s.Upload(t.Context(), key, sum, time.Minute)
		_, download := s.Download(t.Context(), key, time.Minute)
		for call, err := range map[string]error{"put": put, "open": open, "stat": stat, "delete": s.Delete(t.Context(), key), "upload": upload, "download": download} {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%s %q: %v", call, key, err)
			}
		}
	}
	long := strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 100)+"/", 5), "/")
	Put(t, s, long, []byte("long"))
	Put(t, s, "0/c.o-n_/console/com0x/x", []byte("odd"))
	if got := Keys(t, s, "", ""); !slices.Equal(got, []string{"0/c.o-n_/console/com0x/x", long}) {
		t.Errorf("got %q", got)
	}
}

func list(t *testing.T, s blob.Store) {
	all := []string{"a", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "a0", "b/1", "b/10", "b/2", "ba"}
	slices.Sort(all)
	for i, key := range all {
		Put(t, s, key, make([]byte, i))
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "b/1", "none", "b/none", "a/b/"} {
		for _, after := range append([]string{"", "a/a", "b", "b/", "zzz"}, all...) {
			want := []string{}
			for _, key := range all {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if got := Keys(t, s, prefix, after); !slices.Equal(got, want) {
				t.Errorf("%q after %q: got %q, want %q", prefix, after, got, want)
			}
		}
	}
	n := 0
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil || info.Size != int64(slices.Index(all, info.Key)) || info.Modified.IsZero() {
			t.Errorf("%+v, %v", info, err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("a list that is ended early gave %d", n)
	}
}

// Send sends a request as somebody without credentials does.
func Send(t testing.TB, r *blob.Request, body []byte) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// requests plays a runner, which has the requests and no credentials.
func requests(t *testing.T, s blob.Store) {
	data, sum := Content(70_000)
	up, err := s.Upload(t.Context(), "r/up", sum, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	down, err := s.Download(t.Context(), "r/up", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if up == nil && down == nil {
		return // a folder
	}
	if status, answer := Send(t, up, data); status != http.StatusOK {
		t.Fatalf("upload: %d %s", status, answer)
	}
	info, err := s.Stat(t.Context(), "r/up")
	if err != nil || info.Sum != sum {
		t.Errorf("stat: %+v, %v; want %+v", info, err, sum)
	}
	if status, got := Send(t, down, nil); status != http.StatusOK || !bytes.Equal(got, data) {
		t.Errorf("download: %d, %d bytes", status, len(got))
	}
}

// largeOne is put in parts, and one that ends early leaves nothing.
func largeOne(t *testing.T, s blob.Store, size int) {
	data, sum := Content(size)
	// A reader that gives odd pieces.
	if err := s.Put(t.Context(), "large", sum, iotest.HalfReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if err := blob.Verify(t.Context(), s, "large", sum); err != nil {
		t.Error(err)
	}
	middle := int64(size / 2)
	if got := Read(t, s, "large", blob.Range{Offset: middle, Length: 100}); !bytes.Equal(got, data[middle:middle+100]) {
		t.Error("a part in the middle is not what was put")
	}
	other := sum
	other.SHA256 = strings.Repeat("0", 64)
	if err := s.Put(t.Context(), "other", other, bytes.NewReader(data)); !errs.Is(err, errs.Invalid) {
		t.Errorf("another sum: %v", err)
	}
	if err := s.Put(t.Context(), "other", sum, bytes.NewReader(data[:size-1])); !errs.Is(err, errs.Invalid) {
		t.Errorf("a byte less: %v", err)
	}
	if got := Keys(t, s, "", ""); !slices.Equal(got, []string{"large"}) {
		t.Errorf("left: %q", got)
	}
}

func canceled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	data, sum := Content(200_000)
	err := s.Put(ctx, "k", sum, io.MultiReader(bytes.NewReader(data[:100_000]), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, ctx.Err()
	})))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if got := Keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	for _, err := range s.List(ctx, "", "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: %v", err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
