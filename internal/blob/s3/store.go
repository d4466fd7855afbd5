// Package s3 is [blob.Store] in a bucket of S3, or of a service that speaks its
// protocol.
//
// It promises errors of package errs' kinds without secrets, and that what it
// sends is checked on both sides by SHA-256. Credentials come from the
// environment, the files of AWS or the machine's role, never from the address.
// Nothing happens before Open, and Open asks no server.
package s3

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"refline/internal/blob"
	"refline/internal/errs"
)

// Store is a bucket, or what is below a prefix in it.
type Store struct {
	address

	client  *s3.Client
	presign *s3.PresignClient
}

var _ blob.Store = (*Store)(nil)

const (
	attempts = 5                // of one call; the SDK waits up to 20 s between them
	patience = time.Minute      // without an answer, or without a byte of one
	longPut  = 10 * time.Minute // for one part, with all its attempts
)

// Open opens the store at an address of the form [Form]. Invalid for another
// one, for a profile that does not exist, and without a region.
func Open(ctx context.Context, text string) (*Store, error) {
	a, err := parse(text)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(a.region),
		config.WithLogger(logging.Nop{}), // it would write to stderr
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = patience
			t.MaxIdleConnsPerHost = 16
		})),
		config.WithAPIOptions([]func(*middleware.Stack) error{onlyRead}))
	if missing := (config.SharedConfigProfileNotExistError{}); errors.As(err, &missing) {
		return nil, errs.E(errs.Invalid, "profile %q is not in the AWS configuration files", missing.Profile)
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "AWS configuration: %w", err)
	}
	switch {
	case cfg.Region == "" && a.endpoint == "":
		return nil, errs.E(errs.Invalid, "no region for s3://%s: add ?region=REGION to the address, or set AWS_REGION", a.bucket)
	case cfg.Region == "":
		cfg.Region = "us-east-1" // what other services expect in signatures
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = attempts
	}
	s := &Store{address: a, client: s3.NewFromConfig(cfg, a.options)}
	s.region = cfg.Region
	s.presign = s3.NewPresignClient(s.client)
	return s, nil
}

func (a *address) options(o *s3.Options) {
	if a.endpoint != "" {
		o.BaseEndpoint = &a.endpoint
	}
	o.UsePathStyle = a.pathStyle
	// We give our own sums. Many services do not know those that the SDK adds.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
}

// Check asks for the bucket, so that a wrong address or wrong credentials show
// before the first blob.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, MaxKeys: aws.Int32(1)})
	return s.failure(ctx, "list", "", err)
}

// object gives the key in the bucket.
func (s *Store) object(key string) (*string, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	return aws.String(s.prefix + key), nil
}

// sumKey is the metadata that has the SHA-256 of a blob: the one that S3 computes
// for what came in parts is a sum of sums.
const sumKey = "sha256"

// Open implements [blob.Store].
func (s *Store) Open(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	object, err := s.object(key)
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: object, Range: httpRange(r)}
	out, err := s.client.GetObject(ctx, in)
	if codeOf(err) == "InvalidRange" || statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		cancel(nil)
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		err = s.failure(ctx, "read", key, err)
		cancel(nil)
		return nil, err
	}
	return newBody(ctx, cancel, out.Body, aws.ToInt64(out.ContentLength)), nil
}

// Stat implements [blob.Store].
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	object, err := s.object(key)
	if err != nil {
		return blob.Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: object})
	if err != nil {
		return blob.Info{}, s.failure(ctx, "look for", key, err)
	}
	info := blob.Info{Key: key, Sum: blob.Sum{Size: aws.ToInt64(out.ContentLength)}, Modified: aws.ToTime(out.LastModified)}
	for name, value := range out.Metadata {
		if strings.EqualFold(name, sumKey) {
			info.SHA256 = value
		}
	}
	return info, nil
}

// Delete implements [blob.Store].
func (s *Store) Delete(ctx context.Context, key string) error {
	object, err := s.object(key)
	if err != nil {
		return err
	}
	_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: object})
	if codeOf(err) == "NoSuchKey" {
		return nil // some services say so
	}
	return s.failure(ctx, "delete", key, err)
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.prefix + prefix)}
		if after != "" {
			in.StartAfter = aws.String(s.prefix + after)
		}
		pages := s3.NewListObjectsV2Paginator(s.client, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(blob.Info{}, s.failure(ctx, "list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(s.info(o), nil) {
					return
				}
			}
		}
	}
}

func (s *Store) info(o types.Object) blob.Info {
	return blob.Info{Key: strings.TrimPrefix(aws.ToString(o.Key), s.prefix), Sum: blob.Sum{Size: aws.ToInt64(o.Size)}, Modified: aws.ToTime(o.LastModified)}
}
