package stacktest

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

type bucket struct {
	owner   string
	objects map[string]*object
}

type object struct {
	body       []byte
	header     http.Header // what of the request is kept: type, metadata, encryption
	etag       string
	modified   time.Time
	encryption string
}

// CreateBucket makes an empty bucket of an account ("" is Account).
func (s *Server) CreateBucket(name, account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account == "" {
		account = Account
	}
	s.buckets[name] = &bucket{owner: account, objects: map[string]*object{}}
}

// Object is what a bucket holds under a key.
type Object struct {
	Body       string
	Metadata   map[string]string
	Encryption string // "AES256" or "aws:kms"
	KMSKey     string
}

// Objects reads a bucket.
func (s *Server) Objects(name string) map[string]Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Object{}
	b := s.buckets[name]
	if b == nil {
		return out
	}
	for key, o := range b.objects {
		meta := map[string]string{}
		for h := range o.header {
			if name, ok := strings.CutPrefix(strings.ToLower(h), "x-amz-meta-"); ok {
				meta[name] = o.header.Get(h)
			}
		}
		out[key] = Object{string(o.body), meta, o.encryption,
			o.header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")}
	}
	return out
}

func (s *Server) serveS3(w http.ResponseWriter, r *http.Request, who identity) {
	name, key := splitObject(r)
	op := operationS3(r, key)
	s.calls = append(s.calls, "s3:"+op)
	if f := s.orders.interrupt("s3:" + op); f != nil {
		writeS3Fault(w, r, f)
		return
	}
	b := s.buckets[name]
	switch {
	case op == "CreateBucket" && b == nil:
		s.buckets[name] = &bucket{owner: who.account, objects: map[string]*object{}}
	case op == "CreateBucket":
		writeS3Fault(w, r, &fault{http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."})
	case b == nil:
		writeS3Fault(w, r, &fault{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"})
	case b.owner != who.account:
		writeS3Fault(w, r, &fault{http.StatusForbidden, "AccessDenied", "Access Denied"})
	case op == "PutObject":
		s.putObject(w, r, b, key)
	case op == "GetObject", op == "HeadObject":
		getObject(w, r, b, key)
	case op == "ListObjectsV2":
		listObjects(w, r, b, name)
	case op == "HeadBucket":
		w.WriteHeader(http.StatusOK)
	case op == "DeleteObject":
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		writeS3Fault(w, r, &fault{http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented."})
	}
}

// splitObject knows both forms: /bucket/key, and the bucket in the host.
func splitObject(r *http.Request) (name, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if host, _, ok := strings.Cut(r.Host, ".localhost"); ok {
		return host, path
	}
	name, key, _ = strings.Cut(path, "/")
	return name, key
}

func operationS3(r *http.Request, key string) string {
	switch {
	case r.Method == http.MethodPut && key == "":
		return "CreateBucket"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodHead && key == "":
		return "HeadBucket"
	case r.Method == http.MethodHead:
		return "HeadObject"
	case r.Method == http.MethodGet && key == "":
		return "ListObjectsV2"
	case r.Method == http.MethodGet:
		return "GetObject"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	default:
		return r.Method
	}
}

func (s *Server) putObject(w http.ResponseWriter, r *http.Request, b *bucket, key string) {
	body, err := readS3Body(r)
	if err != nil {
		writeS3Fault(w, r, &fault{http.StatusBadRequest, "IncompleteBody", err.Error()})
		return
	}
	if r.Header.Get("If-None-Match") == "*" && b.objects[key] != nil {
		writeS3Fault(w, r, &fault{http.StatusPreconditionFailed, "PreconditionFailed",
			"At least one of the pre-conditions you specified did not hold"})
		return
	}
	sum := md5.Sum(body)
	o := &object{body: body, header: http.Header{}, modified: s.tick(), encryption: "AES256",
		etag: `"` + hex.EncodeToString(sum[:]) + `"`}
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		if lower == "content-type" || strings.HasPrefix(lower, "x-amz-meta-") ||
			strings.HasPrefix(lower, "x-amz-server-side-encryption") {
			o.header[name] = values
		}
	}
	if e := r.Header.Get("X-Amz-Server-Side-Encryption"); e != "" {
		o.encryption = e
	}
	o.header.Set("X-Amz-Server-Side-Encryption", o.encryption)
	b.objects[key] = o
	w.Header().Set("ETag", o.etag)
	w.Header().Set("X-Amz-Server-Side-Encryption", o.encryption)
	w.WriteHeader(http.StatusOK)
}

// readS3Body undoes the chunks that the SDK wraps a body in when it sends a
// checksum after it.
func readS3Body(r *http.Request) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return io.ReadAll(r.Body)
	}
	in := bufio.NewReader(r.Body)
	var out bytes.Buffer
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
		head, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		size, err := strconv.ParseInt(head, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
		if size == 0 {
			return out.Bytes(), nil
		}
		if _, err := io.CopyN(&out, in, size); err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
		if _, err := in.Discard(len("\r\n")); err != nil {
			return nil, fmt.Errorf("chunk: %w", err)
		}
	}
}

func getObject(w http.ResponseWriter, r *http.Request, b *bucket, key string) {
	o := b.objects[key]
	if o == nil {
		writeS3Fault(w, r, &fault{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."})
		return
	}
	for name, values := range o.header {
		w.Header()[name] = values
	}
	w.Header().Set("ETag", o.etag)
	w.Header().Set("Last-Modified", o.modified.Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.Itoa(len(o.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(o.body)
	}
}

func listObjects(w http.ResponseWriter, r *http.Request, b *bucket, name string) {
	query := r.URL.Query()
	size := 1000
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil && n > 0 {
		size = min(n, size)
	}
	var keys []string
	for key := range b.objects {
		if strings.HasPrefix(key, query.Get("prefix")) && key > query.Get("continuation-token") {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	more := len(keys) > size
	keys = keys[:min(size, len(keys))]
	out := group("ListBucketResult",
		el("Name", name), el("Prefix", query.Get("prefix")),
		el("KeyCount", strconv.Itoa(len(keys))), el("MaxKeys", strconv.Itoa(size)), yes("IsTruncated", more))
	if more {
		out.kids = append(out.kids, el("NextContinuationToken", keys[len(keys)-1]))
	}
	for _, key := range keys {
		o := b.objects[key]
		shown := key
		if query.Get("encoding-type") == "url" {
			shown = url.QueryEscape(key)
		}
		out.kids = append(out.kids, group("Contents",
			el("Key", shown), el("LastModified", o.modified.Format(time.RFC3339)), el("ETag", o.etag),
			el("Size", strconv.Itoa(len(o.body))), el("StorageClass", "STANDARD")))
	}
	w.Header().Set("Content-Type", "application/xml")
	out.write(w)
}

func writeS3Fault(w http.ResponseWriter, r *http.Request, f *fault) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		group("Error", el("Code", f.code), el("Message", f.message)).write(w)
	}
}

// fetch reads a template by the URL that CloudFormation was given.
func (s *Server) fetch(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		if strings.HasPrefix(raw, "s3://") {
			return "", invalid("S3 error: Domain name specified in %s is not a valid S3 domain", strings.TrimPrefix(raw, "s3://"))
		}
		return "", invalid("TemplateURL must be a supported URL.")
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	switch {
	case strings.HasPrefix(s.URL(), u.Scheme+"://"+u.Host):
	case strings.HasSuffix(u.Hostname(), ".amazonaws.com"):
		if host, _, virtual := strings.Cut(u.Hostname(), ".s3"); virtual {
			name, key = host, strings.TrimPrefix(u.Path, "/")
		}
	default:
		return "", invalid("TemplateURL must be a supported URL.")
	}
	b := s.buckets[name]
	if b == nil || b.objects[key] == nil {
		return "", invalid("S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
	}
	if len(b.objects[key].body) > 1<<20 {
		return "", invalid("Template size exceeds 1048576 bytes")
	}
	return string(b.objects[key].body), nil
}
