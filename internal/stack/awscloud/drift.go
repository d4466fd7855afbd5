package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"refline/internal/stack"
)

// Drift implements stack.Stacks.
func (c *Cloud) Drift(ctx context.Context, name, detection string) (stack.Drift, error) {
	if detection == "" {
		out, err := c.cfn.DetectStackDrift(ctx, &cloudformation.DetectStackDriftInput{StackName: aws.String(name)})
		if err != nil {
			return stack.Drift{}, failure(ctx, err)
		}
		return stack.Drift{Detection: aws.ToString(out.StackDriftDetectionId)}, nil
	}
	out, err := c.cfn.DescribeStackDriftDetectionStatus(ctx,
		&cloudformation.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: aws.String(detection)})
	if err != nil {
		return stack.Drift{}, failure(ctx, err)
	}
	d := stack.Drift{Detection: detection, Status: string(out.StackDriftStatus)}
	switch out.DetectionStatus {
	case types.StackDriftDetectionStatusDetectionInProgress:
		return d, nil
	case types.StackDriftDetectionStatusDetectionFailed:
		// What could be compared is still returned.
		d.Failed = aws.ToString(out.DetectionStatusReason)
	}
	d.Done = true
	d.Resources, err = c.drifted(ctx, name)
	return d, err
}

func (c *Cloud) drifted(ctx context.Context, name string) ([]stack.ResourceDrift, error) {
	var all []stack.ResourceDrift
	pages := cloudformation.NewDescribeStackResourceDriftsPaginator(c.cfn, &cloudformation.DescribeStackResourceDriftsInput{
		StackName: aws.String(name),
		StackResourceDriftStatusFilters: []types.StackResourceDriftStatus{types.StackResourceDriftStatusModified,
			types.StackResourceDriftStatusDeleted, types.StackResourceDriftStatusUnknown}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, err)
		}
		for _, r := range page.StackResourceDrifts {
			one := stack.ResourceDrift{LogicalID: aws.ToString(r.LogicalResourceId), PhysicalID: aws.ToString(r.PhysicalResourceId),
				Type: aws.ToString(r.ResourceType), Status: string(r.StackResourceDriftStatus)}
			for _, p := range r.PropertyDifferences {
				one.Differences = append(one.Differences, stack.Difference{Path: aws.ToString(p.PropertyPath),
					Kind: string(p.DifferenceType), Expected: aws.ToString(p.ExpectedValue), Actual: aws.ToString(p.ActualValue)})
			}
			all = append(all, one)
		}
	}
	return all, nil
}
