package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"refline/internal/blob"
)

const (
	partSize = 8 << 20
	maxParts = 9_000   // S3 takes 10,000
	maxPut   = 5 << 30 // S3 takes no more in one request
	inFlight = 2       // parts of one blob that are sent at once
)

// buffers keeps what parts are read into.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// sizeOfParts gives how large the parts of a blob are: the memory of a put is at
// most three times that.
func sizeOfParts(size int64) int64 { return max(partSize, (size+maxParts-1)/maxParts) }

// Put implements [blob.Store]. Every request is sent from memory, so the SDK can
// repeat it.
func (s *Store) Put(ctx context.Context, key string, sum blob.Sum, content io.Reader) error {
	object, err := s.object(key)
	if err == nil {
		err = sum.Check()
	}
	if err != nil {
		return err
	}
	checked := blob.NewVerifier(content, sum)
	first, err := readPart(ctx, checked, sizeOfParts(sum.Size))
	if err != nil {
		return err
	}
	defer buffers.Put(first)
	if int64(first.Len()) < sum.Size {
		return s.putParts(ctx, key, object, sum, first, checked)
	}
	if _, err := checked.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return err // the sum is checked at the end
	}
	ctx, cancel := context.WithTimeout(ctx, longPut)
	defer cancel()
	_, err = s.client.PutObject(ctx, s.putInput(object, sum, bytes.NewReader(first.Bytes())))
	return s.failure(ctx, "write", key, err)
}

func (s *Store) putInput(object *string, sum blob.Sum, body io.Reader) *s3.PutObjectInput {
	return &s3.PutObjectInput{
		Bucket: &s.bucket, Key: object, Body: body, ContentLength: &sum.Size,
		ContentType: aws.String("application/octet-stream"), ChecksumSHA256: base64Of(sum.SHA256),
		Metadata: map[string]string{sumKey: sum.SHA256},
	}
}

func base64Of(hexadecimal string) *string {
	raw, _ := hex.DecodeString(hexadecimal) // checked before
	return aws.String(base64.StdEncoding.EncodeToString(raw))
}

// readPart reads size bytes, or less at the end.
func readPart(ctx context.Context, content io.Reader, size int64) (*bytes.Buffer, error) {
	part := buffers.Get().(*bytes.Buffer)
	part.Reset()
	_, err := io.CopyN(part, content, size)
	if err != nil && !errors.Is(err, io.EOF) {
		buffers.Put(part)
		return nil, err
	}
	if ctx.Err() != nil {
		buffers.Put(part)
		return nil, context.Cause(ctx)
	}
	return part, nil
}

// upload is a blob that is sent in parts.
type upload struct {
	*Store
	key    string
	object *string
	id     *string
	slots  chan struct{}

	mu    sync.Mutex
	parts []types.CompletedPart
}

func (s *Store) putParts(ctx context.Context, key string, object *string, sum blob.Sum, first *bytes.Buffer, rest io.Reader) error {
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: object, ContentType: aws.String("application/octet-stream"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Metadata: map[string]string{sumKey: sum.SHA256},
	})
	if err != nil {
		return s.failure(ctx, "write", key, err)
	}
	u := &upload{Store: s, key: key, object: object, id: out.UploadId, slots: make(chan struct{}, inFlight)}
	u.parts = make([]types.CompletedPart, (sum.Size+sizeOfParts(sum.Size)-1)/sizeOfParts(sum.Size))
	if err := u.send(ctx, first, rest, sizeOfParts(sum.Size)); err != nil {
		return errors.Join(err, u.abort(ctx))
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: object, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
	if err != nil {
		return errors.Join(s.failure(ctx, "write", key, err), u.abort(ctx))
	}
	return nil
}

// send reads the content part by part and sends them, a few at once. It returns
// when none is under way any more.
func (u *upload) send(ctx context.Context, first *bytes.Buffer, rest io.Reader, size int64) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	part := first
	for i := 0; part.Len() > 0; i++ {
		u.slots <- struct{}{}
		now := part
		group.Go(func() {
			defer func() { <-u.slots }()
			if err := u.sendPart(ctx, i, now.Bytes()); err != nil {
				stop(err)
			}
			if now != first { // that one is the caller's
				buffers.Put(now)
			}
		})
		var err error
		if part, err = readPart(ctx, rest, size); err != nil {
			stop(err)
			break
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (u *upload) sendPart(ctx context.Context, i int, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, longPut)
	defer cancel()
	digest := sha256.Sum256(data)
	sum := aws.String(base64.StdEncoding.EncodeToString(digest[:]))
	number := aws.Int32(int32(i + 1))
	out, err := u.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.bucket, Key: u.object, UploadId: u.id, PartNumber: number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumSHA256: sum,
	})
	if err != nil {
		return u.failure(ctx, "write", u.key, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[i] = types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256}
	return nil
}

// abort removes the parts, also when ctx is done. What it cannot remove costs
// space until the bucket's lifecycle rule for incomplete uploads removes it.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := u.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: u.object, UploadId: u.id})
	return u.failure(ctx, "abort", u.key, err)
}

// Upload implements [blob.Store]. What is larger than S3 takes in one request
// has none.
func (s *Store) Upload(ctx context.Context, key string, sum blob.Sum, expires time.Duration) (*blob.Request, error) {
	object, err := s.object(key)
	if err == nil {
		err = sum.Check()
	}
	if err != nil || sum.Size > maxPut {
		return nil, err
	}
	out, err := s.presign.PresignPutObject(ctx, s.putInput(object, sum, nil), s3.WithPresignExpires(expires))
	if err != nil {
		return nil, s.failure(ctx, "sign", key, err)
	}
	r := &blob.Request{Method: out.Method, URL: out.URL, Header: map[string]string{}}
	for name := range out.SignedHeader {
		if name != "Host" {
			r.Header[name] = out.SignedHeader.Get(name)
		}
	}
	return r, nil
}

// Download implements [blob.Store].
func (s *Store) Download(ctx context.Context, key string, expires time.Duration) (*blob.Request, error) {
	object, err := s.object(key)
	if err != nil {
		return nil, err
	}
	out, err := s.presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: object}, s3.WithPresignExpires(expires))
	if err != nil {
		return nil, s.failure(ctx, "sign", key, err)
	}
	return &blob.Request{Method: out.Method, URL: out.URL, Header: map[string]string{}}, nil
}
