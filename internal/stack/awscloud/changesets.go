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

// CreateChangeSet implements stack.ChangeSets.
func (c *Cloud) CreateChangeSet(ctx context.Context, in stack.ChangeSetInput) (stack.ChangeSetRef, error) {
	req := &cloudformation.CreateChangeSetInput{
		StackName:           aws.String(in.Stack),
		ChangeSetName:       aws.String(in.Name),
		Description:         str(in.Description),
		ChangeSetType:       types.ChangeSetType(in.Type),
		TemplateBody:        str(in.Template.Body),
		TemplateURL:         str(in.Template.URL),
		Parameters:          parameters(in.Parameters),
		Tags:                tags(in.Tags),
		Capabilities:        words[types.Capability](in.Capabilities),
		RoleARN:             str(in.Role),
		NotificationARNs:    in.Notifications,
		ResourceTypes:       in.ResourceTypes,
		IncludeNestedStacks: aws.Bool(in.Nested),
		ResourcesToImport:   imports(in.Imports),
		OnStackFailure:      types.OnStackFailure(in.OnFailure),
		ClientToken:         str(in.Token),
	}
	if in.UsePrevious {
		req.UsePreviousTemplate, req.TemplateBody, req.TemplateURL = aws.Bool(true), nil, nil
	}
	if in.ImportExisting {
		req.ImportExistingResources = aws.Bool(true)
	}
	if in.RevertDrift {
		req.DeploymentMode = types.DeploymentModeRevertDrift
	}
	out, err := c.cfn.CreateChangeSet(ctx, req)
	if err != nil {
		return stack.ChangeSetRef{}, discreet(failure(ctx, err), in.Parameters)
	}
	return stack.ChangeSetRef{ARN: aws.ToString(out.Id), StackID: aws.ToString(out.StackId)}, nil
}

func parameters(in []stack.Parameter) []types.Parameter {
	var out []types.Parameter
	for _, p := range in {
		one := types.Parameter{ParameterKey: aws.String(p.Key)}
		if p.UsePrevious {
			one.UsePreviousValue = aws.Bool(true)
		} else {
			one.ParameterValue = aws.String(p.Value)
		}
		out = append(out, one)
	}
	return out
}

func tags(in []stack.Pair) []types.Tag {
	var out []types.Tag
	for _, t := range in {
		out = append(out, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return out
}

func imports(in []stack.ImportResource) []types.ResourceToImport {
	var out []types.ResourceToImport
	for _, r := range in {
		out = append(out, types.ResourceToImport{LogicalResourceId: aws.String(r.LogicalID),
			ResourceType: aws.String(r.Type), ResourceIdentifier: r.Identifier})
	}
	return out
}

// words turns strings into an SDK's typed ones, and back.
func words[To, From ~string](in []From) []To {
	var out []To
	for _, s := range in {
		out = append(out, To(s))
	}
	return out
}

// ChangeSet implements stack.ChangeSets.
func (c *Cloud) ChangeSet(ctx context.Context, arn string) (stack.ChangeSet, error) {
	req := &cloudformation.DescribeChangeSetInput{ChangeSetName: aws.String(arn), IncludePropertyValues: aws.Bool(true)}
	var all stack.ChangeSet
	for {
		out, err := c.cfn.DescribeChangeSet(ctx, req)
		if err != nil {
			return stack.ChangeSet{}, failure(ctx, err)
		}
		if req.NextToken == nil {
			all = changeSet(out)
		}
		for _, ch := range out.Changes {
			if ch.ResourceChange != nil {
				all.Changes = append(all.Changes, resourceChange(ch.ResourceChange))
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		req.NextToken = out.NextToken
	}
}

func changeSet(out *cloudformation.DescribeChangeSetOutput) stack.ChangeSet {
	return stack.ChangeSet{
		ARN:          aws.ToString(out.ChangeSetId),
		Name:         aws.ToString(out.ChangeSetName),
		StackID:      aws.ToString(out.StackId),
		StackName:    aws.ToString(out.StackName),
		Description:  aws.ToString(out.Description),
		Status:       stack.Status(out.Status),
		Execution:    stack.Status(out.ExecutionStatus),
		Reason:       aws.ToString(out.StatusReason),
		Created:      aws.ToTime(out.CreationTime),
		Parent:       aws.ToString(out.ParentChangeSetId),
		Root:         aws.ToString(out.RootChangeSetId),
		Nested:       aws.ToBool(out.IncludeNestedStacks),
		Parameters:   parameterPairs(out.Parameters),
		Tags:         tagPairs(out.Tags),
		Capabilities: words[string](out.Capabilities),
	}
}

func parameterPairs(in []types.Parameter) []stack.Pair {
	var out []stack.Pair
	for _, p := range in {
		out = append(out, stack.Pair{Key: aws.ToString(p.ParameterKey), Value: aws.ToString(p.ParameterValue)})
	}
	return out
}

func tagPairs(in []types.Tag) []stack.Pair {
	var out []stack.Pair
	for _, t := range in {
		out = append(out, stack.Pair{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)})
	}
	return out
}

func resourceChange(r *types.ResourceChange) stack.ResourceChange {
	out := stack.ResourceChange{
		Action:       string(r.Action),
		LogicalID:    aws.ToString(r.LogicalResourceId),
		PhysicalID:   aws.ToString(r.PhysicalResourceId),
		Type:         aws.ToString(r.ResourceType),
		Replacement:  string(r.Replacement),
		PolicyAction: string(r.PolicyAction),
		Scope:        words[string](r.Scope),
		Before:       aws.ToString(r.BeforeContext),
		After:        aws.ToString(r.AfterContext),
		ChangeSet:    aws.ToString(r.ChangeSetId),
		DriftStatus:  string(r.ResourceDriftStatus),
	}
	for _, d := range r.Details {
		one := stack.ChangeDetail{
			Evaluation:    string(d.Evaluation),
			ChangeSource:  string(d.ChangeSource),
			CausingEntity: aws.ToString(d.CausingEntity),
		}
		if t := d.Target; t != nil {
			one.Attribute, one.Name, one.Path = string(t.Attribute), aws.ToString(t.Name), aws.ToString(t.Path)
			one.RequiresRecreation, one.AttributeChange = string(t.RequiresRecreation), string(t.AttributeChangeType)
			one.Before, one.After = aws.ToString(t.BeforeValue), aws.ToString(t.AfterValue)
		}
		out.Details = append(out.Details, one)
	}
	return out
}

// ListChangeSets implements stack.ChangeSets.
func (c *Cloud) ListChangeSets(ctx context.Context, name string) ([]stack.ChangeSet, error) {
	var all []stack.ChangeSet
	pages := cloudformation.NewListChangeSetsPaginator(c.cfn, &cloudformation.ListChangeSetsInput{StackName: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, err)
		}
		for _, s := range page.Summaries {
			all = append(all, stack.ChangeSet{
				ARN: aws.ToString(s.ChangeSetId), Name: aws.ToString(s.ChangeSetName),
				StackID: aws.ToString(s.StackId), StackName: aws.ToString(s.StackName), Description: aws.ToString(s.Description),
				Status: stack.Status(s.Status), Execution: stack.Status(s.ExecutionStatus), Reason: aws.ToString(s.StatusReason),
				Created: aws.ToTime(s.CreationTime), Parent: aws.ToString(s.ParentChangeSetId), Root: aws.ToString(s.RootChangeSetId),
				Nested: aws.ToBool(s.IncludeNestedStacks),
			})
		}
	}
	return all, nil
}

// Failures implements stack.ChangeSets.
func (c *Cloud) Failures(ctx context.Context, stackOrChangeSet string) ([]stack.Failure, error) {
	var all []stack.Failure
	in := &cloudformation.DescribeEventsInput{Filters: &types.EventFilter{FailedEvents: aws.Bool(true)}}
	if strings.Contains(stackOrChangeSet, ":changeSet/") {
		in.ChangeSetName = aws.String(stackOrChangeSet)
	} else {
		in.StackName = aws.String(stackOrChangeSet)
	}
	pages := cloudformation.NewDescribeEventsPaginator(c.cfn, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, func(o *cloudformation.Options) {
			o.RetryMaxAttempts = min(o.RetryMaxAttempts, 2) // details, not worth a long wait
		})
		if unknownOperation(err) {
			return nil, nil
		}
		if err != nil {
			return nil, failure(ctx, err)
		}
		for _, e := range page.OperationEvents {
			all = append(all, failed(e))
		}
	}
	return all, nil
}

func failed(e types.OperationEvent) stack.Failure {
	f := stack.Failure{
		LogicalID:  aws.ToString(e.LogicalResourceId),
		PhysicalID: aws.ToString(e.PhysicalResourceId),
		Type:       aws.ToString(e.ResourceType),
		Status:     string(e.ResourceStatus),
		Reason:     aws.ToString(e.ResourceStatusReason),
		Validation: aws.ToString(e.ValidationName),
		Path:       aws.ToString(e.ValidationPath),
		Mode:       string(e.ValidationFailureMode),
		Time:       aws.ToTime(e.Timestamp),
	}
	switch e.EventType {
	case types.EventTypeValidationError:
		f.Status, f.Reason = string(e.ValidationStatus), aws.ToString(e.ValidationStatusReason)
	case types.EventTypeHookInvocationError:
		f.Status, f.Reason = string(e.HookStatus), aws.ToString(e.HookStatusReason)
		f.Validation, f.Mode = aws.ToString(e.HookType), string(e.HookFailureMode)
	}
	return f
}

// ExecuteChangeSet implements stack.ChangeSets.
func (c *Cloud) ExecuteChangeSet(ctx context.Context, arn string, o stack.ExecuteOptions) error {
	in := &cloudformation.ExecuteChangeSetInput{ChangeSetName: aws.String(arn), ClientRequestToken: str(o.Token), DisableRollback: o.DisableRollback}
	if o.RetainExceptOnCreate {
		in.RetainExceptOnCreate = aws.Bool(true)
	}
	_, err := c.cfn.ExecuteChangeSet(ctx, in)
	return failure(ctx, err)
}

// DeleteChangeSet implements stack.ChangeSets.
func (c *Cloud) DeleteChangeSet(ctx context.Context, arn string) error {
	_, err := c.cfn.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{ChangeSetName: aws.String(arn)})
	if err = failure(ctx, err); errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}
