package awscloud

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"refline/internal/errs"
	"refline/internal/stack"
)

// PutObject implements stack.Objects. Without a key of its own an object is
// encrypted as its bucket says; S3 encrypts with AES256 where a bucket says
// nothing, and naming that here would override a bucket that says more.
func (c *Cloud) PutObject(ctx context.Context, o stack.Object) (created bool, err error) {
	for try := range 4 {
		_, err = c.s3.PutObject(ctx, putInput(o))
		switch codeOf(err) {
		case "":
			return err == nil, failure(ctx, err)
		case "PreconditionFailed":
			return false, nil // somebody wrote it before
		case "ConditionalRequestConflict": // somebody writes the same key now
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond << try):
			}
		default:
			return false, c.objectFailure(ctx, err, o.Bucket, o.Key)
		}
	}
	return false, c.objectFailure(ctx, err, o.Bucket, o.Key)
}

func putInput(o stack.Object) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket:      aws.String(o.Bucket),
		Key:         aws.String(o.Key),
		Body:        bytes.NewReader(o.Body),
		ContentType: str(o.ContentType),
		Metadata:    o.Metadata,
		IfNoneMatch: aws.String("*"),
	}
	if o.KMSKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String(o.KMSKey)
	}
	return in
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// GetObject implements stack.Objects.
func (c *Cloud) GetObject(ctx context.Context, bucket, key string) (stack.Object, error) {
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return stack.Object{}, c.objectFailure(ctx, err, bucket, key)
	}
	body, err := io.ReadAll(out.Body)
	if closing := out.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return stack.Object{}, failure(ctx, err)
	}
	return stack.Object{Bucket: bucket, Key: key, Body: body, ContentType: aws.ToString(out.ContentType), Metadata: lower(out.Metadata),
		KMSKey: aws.ToString(out.SSEKMSKeyId), Modified: aws.ToTime(out.LastModified), Size: int64(len(body))}, nil
}

// objectFailure names what is missing or elsewhere, which S3's sentences do not.
func (c *Cloud) objectFailure(ctx context.Context, err error, bucket, key string) error {
	told := failure(ctx, err)
	switch codeOf(err) {
	case "NoSuchBucket":
		return errs.E(errs.NotFound, "bucket %s does not exist; create it, or correct bucket: in the configuration", bucket)
	case "PermanentRedirect", "AuthorizationHeaderMalformed":
		return errs.E(errs.Invalid, "bucket %s is not in region %s", bucket, c.region)
	}
	if kind := errs.KindOf(told); kind == errs.NotFound || kind == errs.Denied {
		return errs.E(kind, "s3://%s/%s: %w", bucket, key, told)
	}
	return told
}

func lower(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[strings.ToLower(k)] = v
	}
	return out
}

// ListObjects implements stack.Objects.
func (c *Cloud) ListObjects(ctx context.Context, bucket, prefix string) ([]stack.Object, error) {
	var all []stack.Object
	pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: str(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.objectFailure(ctx, err, bucket, prefix)
		}
		for _, o := range page.Contents {
			all = append(all, stack.Object{Bucket: bucket, Key: aws.ToString(o.Key), Modified: aws.ToTime(o.LastModified), Size: aws.ToInt64(o.Size)})
		}
	}
	return all, nil
}

// ObjectURL implements stack.Objects.
func (c *Cloud) ObjectURL(bucket, key string) string {
	path := (&url.URL{Path: key}).EscapedPath()
	switch {
	case c.endpoint != "":
		return c.endpoint + "/" + bucket + "/" + path
	case strings.Contains(bucket, "."):
		// The certificate of the bucket's own host name would not fit.
		return "https://s3." + c.region + "." + c.suffix() + "/" + bucket + "/" + path
	default:
		return "https://" + bucket + ".s3." + c.region + "." + c.suffix() + "/" + path
	}
}

func (c *Cloud) suffix() string {
	if strings.HasPrefix(c.region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
