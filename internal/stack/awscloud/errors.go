package awscloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"refline/internal/errs"
	"refline/internal/stack"
)

// failure is the error of a call, in one sentence and with its kind. The end of
// ctx is returned as such.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("call of AWS: %w", cause)
	}
	return translate(err)
}

func translate(err error) error {
	if kind := errs.KindOf(err); kind != errs.Internal {
		// Of the credentials, wrapped by the SDK in the names of its layers.
		return errs.E(kind, "%s", sentence(err))
	}
	if api := (smithy.APIError)(nil); errors.As(err, &api) {
		return errs.E(kindOf(api, status(err)), "%s", sentence(err))
	}
	if bad := (smithy.InvalidParamsError{}); errors.As(err, &bad) {
		return errs.E(errs.Invalid, "%s", strings.Join(strings.Fields(bad.Error()), " ")) // refused before it was sent
	}
	switch n := status(err); n {
	case 0:
	case 429, 502, 503, 504: // of a proxy in front of the service
		return errs.E(errs.Unavailable, "AWS answered %d", n)
	default:
		return errs.E(errs.Invalid, "the service answered %d without a readable error: it may not support this call", n)
	}
	return errs.E(errs.Unavailable, "AWS does not answer: %s", sentence(err))
}

func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// sentence is what matters of an SDK's error: what the service said, or the
// innermost cause.
func sentence(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		if text := strings.TrimSpace(api.ErrorMessage()); text != "" && text != api.ErrorCode() {
			return strings.TrimSuffix(text, ".")
		}
		return fmt.Sprintf("AWS answered %s", api.ErrorCode())
	}
	for {
		var network *net.OpError
		if errors.As(err, &network) {
			return network.Error()
		}
		inner := errors.Unwrap(err)
		if inner == nil || errs.KindOf(inner) != errs.KindOf(err) {
			return strings.TrimSuffix(err.Error(), ".")
		}
		err = inner
	}
}

// kindOf reads the code of an answer and, where CloudFormation calls everything
// a ValidationError, its text.
func kindOf(api smithy.APIError, status int) errs.Kind {
	code := api.ErrorCode()
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled || status >= 500 {
		return errs.Unavailable
	}
	switch code {
	case "ValidationError", "ValidationException":
		return kindOfValidation(api.ErrorMessage())
	case "ChangeSetNotFound", "ChangeSetNotFoundException", "StackNotFoundException", "NoSuchKey", "NoSuchBucket", "NotFound":
		return errs.NotFound
	case "InvalidChangeSetStatus", "InvalidChangeSetStatusException", "AlreadyExistsException", "LimitExceededException",
		"LimitExceeded", "OperationInProgressException", "TokenAlreadyExistsException", "InvalidStateTransition",
		"ConcurrentResourcesLimitExceeded", "PreconditionFailed":
		return errs.Conflict
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "InvalidClientTokenId",
		"UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "RequestExpired",
		"AuthFailure", "MissingAuthenticationToken", "InvalidAccessKeyId", "OptInRequired", "InvalidToken":
		return errs.Denied
	case "RequestTimeout", "RequestTimeoutException", "ConditionalRequestConflict", "OperationAborted", "InternalFailure",
		"InternalError", "ServiceUnavailable":
		return errs.Unavailable
	}
	switch status {
	case 401, 403:
		return errs.Denied
	case 404:
		return errs.NotFound
	case 409:
		return errs.Conflict
	default:
		return errs.Invalid
	}
}

func kindOfValidation(text string) errs.Kind {
	has := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case strings.HasPrefix(text, "Stack") && has("does not exist"):
		return errs.NotFound
	case has("already exists"), has(" state and can not be "), has("TerminationProtection"), has("cannot be deleted as it is in use by"),
		has("cannot be called from current stack status"), has("is being modified"):
		return errs.Conflict
	case has("is not authorized to perform"):
		return errs.Denied
	default:
		return errs.Invalid
	}
}

// unknownOperation reports whether a service does not have a call, as emulators
// do not: some answer with an HTML page.
func unknownOperation(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return status(err) > 0
	}
	switch api.ErrorCode() {
	case "InvalidAction", "UnknownOperationException", "UnknownAction", "NotImplemented", "UnsupportedOperation", "UnknownError":
		return status(err) < 500 || status(err) == 501
	default:
		return false
	}
}

// discreet takes the values of parameters out of an answer that quotes them:
// which of them are secret only the template knows.
func discreet(err error, parameters []stack.Parameter) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, p := range parameters {
		if p.Value != "" {
			text = strings.ReplaceAll(text, "'"+p.Value+"'", "'****'")
			text = strings.ReplaceAll(text, "["+p.Value+"]", "[****]")
		}
	}
	if text == err.Error() {
		return err
	}
	return errs.E(errs.KindOf(err), "%s", text)
}

// str is nil for "", as the SDK wants what is not sent.
func str(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}
