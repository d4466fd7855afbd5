// Package awscloud is stack.Cloud by the AWS SDK: one account in one region,
// reached as the SDK's own configuration says (environment, shared files,
// profile, role, AWS_ENDPOINT_URL).
//
// It promises errors of package errs' kinds, each one sentence without secrets,
// and the service's own retries only: what is worth waiting for is the caller's
// to know. Nothing happens before Open, and Open asks no server.
//
// It refuses to know what a plan is. It alone in the program imports the SDK.
package awscloud

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"refline/internal/errs"
	"refline/internal/stack"
)

// Cloud is one account in one region.
type Cloud struct {
	region   string
	endpoint string // that replaces S3's own, or ""
	cfn      *cloudformation.Client
	s3       *s3.Client
	sts      *sts.Client
}

var (
	_ stack.Cloud = (*Cloud)(nil)
	_ stack.Open  = Open
)

const (
	// attempts is how often a call is made before its error is returned, unless
	// the user's configuration says otherwise. The SDK waits up to 20 s between
	// them, with jitter, and slows down when it is throttled.
	attempts = 5
	// patience is the longest that one attempt may take. It is for connections
	// that died; no call of ours takes seconds.
	patience = time.Minute
)

// Open reads the configuration of the SDK. A profile that does not exist, a
// file that cannot be read and a missing region are Invalid;
// credentials that are wrong show at the first call.
func Open(ctx context.Context, a stack.Access) (stack.Cloud, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(a.Region),
		config.WithSharedConfigProfile(a.Profile),
		config.WithLogger(logging.Nop{}), // it would write to stderr
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(patience)),
		config.WithAPIOptions([]func(*middleware.Stack) error{onlyRead}))
	if missing := (config.SharedConfigProfileNotExistError{}); errors.As(err, &missing) {
		return nil, errs.E(errs.Invalid, "profile %q is not in the AWS configuration files (~/.aws/config, ~/.aws/credentials)", missing.Profile)
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, errs.E(errs.Invalid, "no AWS region: name one in the environment's configuration, or set AWS_REGION")
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = attempts
	}
	cfg.Credentials = aws.NewCredentialsCache(honest{cfg.Credentials, describe(a)})
	if a.Role != "" {
		cfg.Credentials = aws.NewCredentialsCache(honest{assume(cfg, a), describe(a)})
	}
	c := &Cloud{region: cfg.Region, cfn: cloudformation.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg)}
	c.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) {
		if o.BaseEndpoint != nil {
			// Bucket names are not host names there.
			o.UsePathStyle, c.endpoint = true, strings.TrimSuffix(*o.BaseEndpoint, "/")
		}
	})
	return c, nil
}

func assume(cfg aws.Config, a stack.Access) aws.CredentialsProvider {
	return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), a.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName(a.Session)
		if a.ExternalID != "" {
			o.ExternalID = aws.String(a.ExternalID)
		}
	})
}

// sessionName makes of a text what STS takes: 2 to 64 of word characters and
// =,.@-.
func sessionName(s string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_=,.@-", r):
			return r
		default:
			return '-'
		}
	}, s)
	if len(clean) < 2 {
		return "refline"
	}
	return clean[:min(len(clean), 64)]
}

func describe(a stack.Access) string {
	switch {
	case a.Role != "":
		return " from role " + a.Role
	case a.Profile != "":
		return " from profile " + a.Profile
	default:
		return ""
	}
}

// honest makes missing credentials differ from any other failure of a call.
type honest struct {
	aws.CredentialsProvider
	whose string
}

func (h honest) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := h.CredentialsProvider.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	if errs.Is(err, errs.Denied) {
		return got, err
	}
	if h.whose == "" && machineRole(err) {
		return got, errs.E(errs.Denied, "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile: or role: in the environment's configuration")
	}
	kind := errs.Denied
	if errs.KindOf(translate(err)) == errs.Unavailable && !machineRole(err) {
		kind = errs.Unavailable
	}
	return got, errs.E(kind, "no AWS credentials%s: %s", h.whose, sentence(err))
}

// machineRole reports whether an error comes from the last resort, the metadata
// server of a machine in the cloud. No answer means that there is none.
func machineRole(err error) bool {
	text := err.Error()
	return strings.Contains(text, "IMDS") || strings.Contains(text, "169.254.")
}

// Caller implements stack.Cloud.
func (c *Cloud) Caller(ctx context.Context) (stack.Caller, error) {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return stack.Caller{}, failure(ctx, err)
	}
	return stack.Caller{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}
