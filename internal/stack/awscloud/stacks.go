package awscloud

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"refline/internal/errs"
	"refline/internal/stack"
)

// Stack implements stack.Stacks.
func (c *Cloud) Stack(ctx context.Context, name string) (stack.Stack, error) {
	out, err := c.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)})
	if err != nil {
		return stack.Stack{}, failure(ctx, err)
	}
	if len(out.Stacks) == 0 {
		return stack.Stack{}, errs.E(errs.NotFound, "stack %s does not exist", name)
	}
	return describeStack(out.Stacks[0]), nil
}

func describeStack(s types.Stack) stack.Stack {
	out := stack.Stack{
		ID:                    aws.ToString(s.StackId),
		Name:                  aws.ToString(s.StackName),
		Status:                stack.Status(s.StackStatus),
		Reason:                aws.ToString(s.StackStatusReason),
		Description:           aws.ToString(s.Description),
		Created:               aws.ToTime(s.CreationTime),
		Updated:               aws.ToTime(s.LastUpdatedTime),
		Deleted:               aws.ToTime(s.DeletionTime),
		Parameters:            parameterPairs(s.Parameters),
		Tags:                  tagPairs(s.Tags),
		Capabilities:          words[string](s.Capabilities),
		Role:                  aws.ToString(s.RoleARN),
		TerminationProtection: aws.ToBool(s.EnableTerminationProtection),
		DisableRollback:       aws.ToBool(s.DisableRollback),
		ChangeSet:             aws.ToString(s.ChangeSetId),
		Parent:                aws.ToString(s.ParentId),
		Root:                  aws.ToString(s.RootId),
	}
	if s.DriftInformation != nil {
		out.DriftStatus = string(s.DriftInformation.StackDriftStatus)
	}
	for _, o := range s.Outputs {
		out.Outputs = append(out.Outputs, stack.Output{Key: aws.ToString(o.OutputKey), Value: aws.ToString(o.OutputValue),
			Description: aws.ToString(o.Description), Export: aws.ToString(o.ExportName)})
	}
	return out
}

// Resources implements stack.Stacks.
func (c *Cloud) Resources(ctx context.Context, name string) ([]stack.Resource, error) {
	var all []stack.Resource
	pages := cloudformation.NewListStackResourcesPaginator(c.cfn, &cloudformation.ListStackResourcesInput{StackName: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, err)
		}
		for _, r := range page.StackResourceSummaries {
			one := stack.Resource{
				LogicalID:  aws.ToString(r.LogicalResourceId),
				PhysicalID: aws.ToString(r.PhysicalResourceId),
				Type:       aws.ToString(r.ResourceType),
				Status:     stack.Status(r.ResourceStatus),
				Reason:     aws.ToString(r.ResourceStatusReason),
				Updated:    aws.ToTime(r.LastUpdatedTimestamp),
			}
			if r.DriftInformation != nil {
				one.DriftStatus = string(r.DriftInformation.StackResourceDriftStatus)
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// Events implements stack.Stacks. It reads no page more than q asks for.
func (c *Cloud) Events(ctx context.Context, q stack.EventQuery) ([]stack.Event, error) {
	var all []stack.Event
	pages := cloudformation.NewDescribeStackEventsPaginator(c.cfn, &cloudformation.DescribeStackEventsInput{StackName: aws.String(q.Stack)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, err)
		}
		for _, e := range page.StackEvents {
			if q.After != "" && aws.ToString(e.EventId) == q.After {
				return all, nil
			}
			all = append(all, event(e))
			if q.Limit > 0 && len(all) == q.Limit {
				return all, nil
			}
		}
	}
	return all, nil
}

func event(e types.StackEvent) stack.Event {
	return stack.Event{
		ID:         aws.ToString(e.EventId),
		Time:       aws.ToTime(e.Timestamp),
		StackID:    aws.ToString(e.StackId),
		StackName:  aws.ToString(e.StackName),
		LogicalID:  aws.ToString(e.LogicalResourceId),
		PhysicalID: aws.ToString(e.PhysicalResourceId),
		Type:       aws.ToString(e.ResourceType),
		Status:     stack.Status(e.ResourceStatus),
		Reason:     aws.ToString(e.ResourceStatusReason),
		Token:      aws.ToString(e.ClientRequestToken),
	}
}

// Template implements stack.Stacks.
func (c *Cloud) Template(ctx context.Context, stackOrChangeSet string) (string, error) {
	req := &cloudformation.GetTemplateInput{TemplateStage: types.TemplateStageOriginal}
	if strings.HasPrefix(stackOrChangeSet, "arn:") && strings.Contains(stackOrChangeSet, ":changeSet/") {
		req.ChangeSetName = aws.String(stackOrChangeSet)
	} else {
		req.StackName = aws.String(stackOrChangeSet)
	}
	out, err := c.cfn.GetTemplate(ctx, req)
	if err != nil {
		return "", failure(ctx, err)
	}
	return aws.ToString(out.TemplateBody), nil
}

// Validate implements stack.Stacks.
func (c *Cloud) Validate(ctx context.Context, t stack.Source) (stack.Validation, error) {
	out, err := c.cfn.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateBody: str(t.Body), TemplateURL: str(t.URL)})
	if err != nil {
		return stack.Validation{}, failure(ctx, err)
	}
	v := stack.Validation{
		Description:        aws.ToString(out.Description),
		Capabilities:       words[string](out.Capabilities),
		CapabilitiesReason: aws.ToString(out.CapabilitiesReason),
		Transforms:         out.DeclaredTransforms,
	}
	for _, p := range out.Parameters {
		v.Parameters = append(v.Parameters, stack.TemplateParameter{Key: aws.ToString(p.ParameterKey),
			Default: aws.ToString(p.DefaultValue), NoEcho: aws.ToBool(p.NoEcho), Description: aws.ToString(p.Description)})
	}
	return v, nil
}

// Do implements stack.Stacks.
func (c *Cloud) Do(ctx context.Context, name string, a stack.Action) error {
	var err error
	switch {
	case a.Delete != nil:
		req := &cloudformation.DeleteStackInput{StackName: aws.String(name), ClientRequestToken: str(a.Delete.Token),
			RoleARN: str(a.Delete.Role), RetainResources: a.Delete.Retain}
		if a.Delete.Force {
			req.DeletionMode = types.DeletionModeForceDeleteStack
		}
		_, err = c.cfn.DeleteStack(ctx, req)
	case a.ContinueRollback != nil:
		_, err = c.cfn.ContinueUpdateRollback(ctx, &cloudformation.ContinueUpdateRollbackInput{StackName: aws.String(name),
			ClientRequestToken: str(a.ContinueRollback.Token), RoleARN: str(a.ContinueRollback.Role), ResourcesToSkip: a.ContinueRollback.Skip})
	case a.Rollback != nil:
		in := &cloudformation.RollbackStackInput{StackName: aws.String(name), ClientRequestToken: str(a.Rollback.Token), RoleARN: str(a.Rollback.Role)}
		if a.Rollback.RetainExceptOnCreate {
			in.RetainExceptOnCreate = aws.Bool(true)
		}
		_, err = c.cfn.RollbackStack(ctx, in)
	case a.CancelUpdate:
		_, err = c.cfn.CancelUpdateStack(ctx, &cloudformation.CancelUpdateStackInput{StackName: aws.String(name)})
	case a.Protect != nil:
		_, err = c.cfn.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{
			StackName: aws.String(name), EnableTerminationProtection: a.Protect})
	case a.Policy != "":
		_, err = c.cfn.SetStackPolicy(ctx, &cloudformation.SetStackPolicyInput{StackName: aws.String(name), StackPolicyBody: aws.String(a.Policy)})
	default:
		return errs.E(errs.Internal, "an action on stack %s that does nothing", name)
	}
	return failure(ctx, err)
}
