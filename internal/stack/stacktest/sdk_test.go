package stacktest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"refline/internal/stack/stacktest"
)

// sdk is the real SDK, pointed at a cloud.
type sdk struct {
	t     *testing.T
	cloud *stacktest.Server
	cfn   *cloudformation.Client
	s3    *s3.Client
}

func start(t *testing.T) *sdk {
	t.Helper()
	return reach(t, stacktest.Start(t))
}

func reach(t *testing.T, cloud *stacktest.Server) *sdk { return reachBy(t, cloud, nil) }

// reachBy is reach by another client than the SDK's own.
func reachBy(t *testing.T, cloud *stacktest.Server, client aws.HTTPClient) *sdk {
	cfg := aws.Config{
		HTTPClient:   client,
		Region:       stacktest.Region,
		BaseEndpoint: aws.String(cloud.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(stacktest.AccessKey(stacktest.Account), "not-a-secret", ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	return &sdk{t, cloud, cloudformation.NewFromConfig(cfg),
		s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })}
}

// plan makes a change set and describes it once it is ready.
func (k *sdk) plan(stack, kind, name, body string, edit ...func(*cloudformation.CreateChangeSetInput)) *cloudformation.DescribeChangeSetOutput {
	k.t.Helper()
	in := &cloudformation.CreateChangeSetInput{StackName: &stack, ChangeSetName: &name,
		ChangeSetType: cfntypes.ChangeSetType(kind), TemplateBody: &body}
	for _, e := range edit {
		e(in)
	}
	out, err := k.cfn.CreateChangeSet(k.t.Context(), in)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.describe(*out.Id)
}

func (k *sdk) describe(arn string) *cloudformation.DescribeChangeSetOutput {
	k.t.Helper()
	out, err := k.cfn.DescribeChangeSet(k.t.Context(), &cloudformation.DescribeChangeSetInput{
		ChangeSetName: &arn, IncludePropertyValues: aws.Bool(true)})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *sdk) execute(arn string) {
	k.t.Helper()
	_, err := k.cfn.ExecuteChangeSet(k.t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: &arn})
	if err != nil {
		k.t.Fatal(err)
	}
}

// deploy makes and executes a change set and gives the stack's end.
func (k *sdk) deploy(stack, kind, body string, edit ...func(*cloudformation.CreateChangeSetInput)) cfntypes.Stack {
	k.t.Helper()
	cs := k.plan(stack, kind, "deploy-"+strings.ToLower(kind), body, edit...)
	if cs.Status != cfntypes.ChangeSetStatusCreateComplete {
		k.t.Fatalf("change set %s: %s", cs.Status, aws.ToString(cs.StatusReason))
	}
	k.execute(*cs.ChangeSetId)
	return k.stack(stack)
}

func (k *sdk) stack(name string) cfntypes.Stack {
	k.t.Helper()
	out, err := k.cfn.DescribeStacks(k.t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		k.t.Fatal(err)
	}
	return out.Stacks[0]
}

// events lists "LogicalId STATUS reason", oldest first.
func (k *sdk) events(stack string) []string {
	k.t.Helper()
	var out []string
	pages := cloudformation.NewDescribeStackEventsPaginator(k.cfn, &cloudformation.DescribeStackEventsInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		for _, e := range page.StackEvents {
			line := aws.ToString(e.LogicalResourceId) + " " + string(e.ResourceStatus) + " " + aws.ToString(e.ResourceStatusReason)
			out = append([]string{strings.TrimSpace(line)}, out...)
		}
	}
	return out
}

// refusal is the code and message of an answer that is an error.
func refusal(t *testing.T, err error) string {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("not an answer of the service: %v", err)
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}

func parameters(pairs ...string) func(*cloudformation.CreateChangeSetInput) {
	return func(in *cloudformation.CreateChangeSetInput) {
		for i := 0; i+1 < len(pairs); i += 2 {
			in.Parameters = append(in.Parameters, cfntypes.Parameter{ParameterKey: &pairs[i], ParameterValue: &pairs[i+1]})
		}
	}
}
