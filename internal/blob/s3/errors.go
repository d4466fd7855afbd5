package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"refline/internal/errs"
)

// failure gives an error of a call its kind and says what was tried.
func (s *Store) failure(ctx context.Context, what, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s s3://%s/%s%s: %w", what, s.bucket, s.prefix, key, context.Cause(ctx))
	}
	switch codeOf(err) {
	case "NoSuchBucket":
		return errs.E(errs.NotFound, "bucket %s does not exist: create it, or correct the address of the blobs", s.bucket)
	case "PermanentRedirect", "AuthorizationHeaderMalformed":
		return errs.E(errs.Invalid, "bucket %s is not in region %s: add ?region=REGION to the address of the blobs", s.bucket, s.region)
	}
	return errs.E(kindOf(err), "%s s3://%s/%s%s: %s", what, s.bucket, s.prefix, key, sentence(err))
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

func kindOf(err error) errs.Kind {
	switch codeOf(err) {
	case "NoSuchKey", "NotFound", "NoSuchUpload":
		return errs.NotFound
	case "SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "RequestTimeTooSkewed":
		return errs.Unavailable
	}
	switch status := statusOf(err); {
	case status == 401, status == 403:
		return errs.Denied
	case status == 404:
		return errs.NotFound
	case status == 409, status == 412:
		return errs.Conflict
	case status >= 400 && status < 500 && status != 429:
		return errs.Invalid
	case status == 0 && noCredentials(err):
		return errs.Denied
	default:
		return errs.Unavailable
	}
}

// noCredentials reports whether a request was not sent for want of credentials.
func noCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "get identity") || strings.Contains(text, "credentials")
}

// sentence is what matters of an SDK's error: what the service said, or the
// innermost cause.
func sentence(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		if text := strings.TrimSpace(api.ErrorMessage()); text != "" && text != api.ErrorCode() {
			return strings.TrimSuffix(text, ".")
		}
		return "the service answered " + api.ErrorCode()
	}
	if statusOf(err) == 0 && noCredentials(err) {
		return "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Error()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return strings.TrimSuffix(err.Error(), ".")
}
