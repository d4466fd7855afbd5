package s3_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/blob"
	"refline/internal/blob/blobtest"
	"refline/internal/blob/s3"
	"refline/internal/errs"
)

// credentials are those of the services that tests start, and no others.
func credentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID":           cmp.Or(os.Getenv("REFLINE_TEST_S3_KEY"), "testing"),
		"AWS_SECRET_ACCESS_KEY":       cmp.Or(os.Getenv("REFLINE_TEST_S3_SECRET"), "testing"),
		"AWS_CONFIG_FILE":             "/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
		"AWS_PROFILE":                 "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_SESSION_TOKEN": "",
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// endpoint is a service with an empty bucket of the given name: moto, or
// another one that REFLINE_TEST_S3 names.
func endpoint(t *testing.T, bucket string) string {
	t.Helper()
	if other := os.Getenv("REFLINE_TEST_S3"); other != "" {
		return other // whose buckets are made beforehand
	}
	moto := os.Getenv("REFLINE_TEST_MOTO")
	if moto == "" {
		t.Skip("REFLINE_TEST_MOTO is not set: run the tests by scripts/with-moto, which installs and starts moto")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, moto+"/"+bucket, nil)
	if err != nil {
		t.Fatal(err)
	}
	// It reads the service from the signature and does not verify it.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("bucket: %s %v", res.Status, err)
	}
	return moto
}

const bucket = "refline-blobs"

var serial atomic.Int64

func open(t *testing.T, service string) *s3.Store {
	t.Helper()
	prefix := "t" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(serial.Add(1), 10)
	s, err := s3.Open(t.Context(), "s3://"+bucket+"/"+prefix+"/Deep?endpoint="+url.QueryEscape(service))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	credentials(t)
	service := endpoint(t, bucket)
	blobtest.Suite(t, 17<<20, func(t *testing.T) blob.Store { return open(t, service) })
}

// A signed request takes the announced content alone.
func TestSignedUploadIsChecked(t *testing.T) {
	credentials(t)
	s := open(t, endpoint(t, bucket))
	data, sum := blobtest.Content(1000)
	up, err := s.Upload(t.Context(), "k", sum, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if up.Header["X-Amz-Checksum-Sha256"] == "" || up.Header["Content-Length"] != "1000" {
		t.Errorf("the size or the sum is not signed: %v", up.Header)
	}
	if os.Getenv("REFLINE_TEST_S3") == "" {
		return // moto checks neither signatures nor sums
	}
	for name, body := range map[string][]byte{"other content": append([]byte("x"), data[1:]...), "less": data[:999], "more": append(data, 'x')} {
		if status, _ := blobtest.Send(t, up, body); status == http.StatusOK {
			t.Errorf("%s was taken", name)
		}
	}
	up.URL = strings.Replace(up.URL, "/k?", "/other?", 1)
	if status, _ := blobtest.Send(t, up, data); status != http.StatusForbidden {
		t.Errorf("under another key: %d", status)
	}
	if got := blobtest.Keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

func TestAListOfSeveralPages(t *testing.T) {
	if testing.Short() {
		t.Skip("moto takes 8 s for 1,003 blobs")
	}
	credentials(t)
	s := open(t, endpoint(t, bucket))
	for i := range 1003 { // a page has 1,000
		blobtest.Put(t, s, "k/"+strconv.Itoa(10_000+i), nil)
	}
	if got := blobtest.Keys(t, s, "k/", ""); len(got) != 1003 || got[0] != "k/10000" || got[1002] != "k/11002" {
		t.Errorf("got %d keys", len(got))
	}
}

func TestWrongPlaces(t *testing.T) {
	credentials(t)
	service := endpoint(t, bucket)
	s, err := s3.Open(t.Context(), "s3://refline-no-such-bucket?endpoint="+service)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "refline-no-such-bucket does not exist") {
		t.Errorf("a bucket that is not there: %v", err)
	}
	if _, err := s3.Open(t.Context(), "s3://refline-blobs"); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("no region: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	s, err = s3.Open(t.Context(), "s3://refline-blobs?endpoint="+service)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "there are no credentials") {
		t.Errorf("no credentials: %v", err)
	}
	t.Setenv("AWS_PROFILE", "nobody")
	if _, err := s3.Open(t.Context(), "s3://refline-blobs?endpoint="+service); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `profile "nobody"`) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

// Answers of services that are not well.
func TestFailures(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	answer := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>the message of "+code+"</Message></Error>")
		}
	}
	for name, c := range map[string]struct {
		service http.HandlerFunc
		want    errs.Kind
		says    string
	}{
		"denied":      {answer(403, "AccessDenied"), errs.Denied, "s3://refline-blobs/k: the message of AccessDenied"},
		"elsewhere":   {answer(301, "PermanentRedirect"), errs.Invalid, "not in region us-east-1"},
		"slow down":   {answer(503, "SlowDown"), errs.Unavailable, "the message of SlowDown"},
		"internal":    {answer(500, "InternalError"), errs.Unavailable, "InternalError"},
		"another":     {answer(404, "NoSuchKey"), errs.NotFound, "NoSuchKey"},
		"not S3":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, errs.Internal, ""},
		"a bad proxy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, errs.Unavailable, ""},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "only this")
		}, errs.Unavailable, "the connection to the blob store was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			service := httptest.NewServer(c.service)
			defer service.Close()
			s, err := s3.Open(t.Context(), "s3://refline-blobs?endpoint="+service.URL)
			if err != nil {
				t.Fatal(err)
			}
			body, err := s.Open(t.Context(), "k", blob.Range{})
			if err == nil {
				_, err = io.ReadAll(body)
				err = errors.Join(err, body.Close())
			}
			if name == "not S3" {
				if err != nil {
					t.Errorf("read: %v", err) // bytes are bytes; their sum shows it
				}
				if err := s.Check(t.Context()); !errs.Is(err, errs.Unavailable) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errs.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v: %v, want %v and %q", errs.KindOf(err), err, c.want, c.says)
			}
		})
	}
	s, err := s3.Open(t.Context(), "s3://refline-blobs?endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "k"); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}

// Of a service whose answers get lost, every blob still arrives whole.
func TestLostAnswers(t *testing.T) {
	credentials(t)
	target, err := url.Parse(endpoint(t, bucket))
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host // which is signed
	}}
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%4 != 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r) // done, and nobody hears of it
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = connection.(*net.TCPConn).SetLinger(0)
			_ = connection.Close()
		}
	}))
	defer lossy.Close()
	s := open(t, lossy.URL)
	data, sum := blobtest.Content(18 << 20)
	for _, key := range []string{"one", "two"} {
		if err := s.Put(t.Context(), key, sum, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := blob.Verify(ctx, s, key, sum); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
