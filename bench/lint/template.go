//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

const small = `AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Bucket:
    Type: AWS::S3::Bucket
`

// program is the large template in Jsonnet: the same service over and over, as
// many times as the external variable count says.
const program = `local tags(name) = [
  { Key: 'Name', Value: { 'Fn::Sub': '${AWS::StackName}-' + name } },
  { Key: 'Stage', Value: { Ref: 'Stage' } },
];
local allow(actions, resource) = { Effect: 'Allow', Action: actions, Resource: resource };
local service(i) = local n = '%03d' % i; {
  ['Queue' + n]: {
    Type: 'AWS::SQS::Queue',
    Properties: {
      VisibilityTimeout: 180,
      MessageRetentionPeriod: 345600,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['Dead' + n, 'Arn'] }, maxReceiveCount: 5 },
      Tags: tags('queue' + n),
    },
  },
  ['Dead' + n]: { Type: 'AWS::SQS::Queue', Properties: { MessageRetentionPeriod: 1209600, Tags: tags('dead' + n) } },
  ['Table' + n]: {
    Type: 'AWS::DynamoDB::Table',
    DeletionPolicy: 'Retain',
    UpdateReplacePolicy: 'Retain',
    Properties: {
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }, { AttributeName: 'at', AttributeType: 'N' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }, { AttributeName: 'at', KeyType: 'RANGE' }],
      SSESpecification: { 'Fn::If': ['Production', { SSEEnabled: true }, { Ref: 'AWS::NoValue' }] },
      Tags: tags('table' + n),
    },
  },
  ['Role' + n]: {
    Type: 'AWS::IAM::Role',
    Properties: {
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
      },
      Policies: [{
        PolicyName: 'work',
        PolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], { 'Fn::GetAtt': ['Queue' + n, 'Arn'] }),
            allow(['dynamodb:PutItem', 'dynamodb:GetItem'], { 'Fn::GetAtt': ['Table' + n, 'Arn'] }),
          ],
        },
      }],
    },
  },
  ['Function' + n]: {
    Type: 'AWS::Lambda::Function',
    Properties: {
      Runtime: 'python3.13',
      Handler: 'app.handler',
      Code: { S3Bucket: { Ref: 'CodeBucket' }, S3Key: { 'Fn::Sub': ['${Stage}/${Name}.zip', { Name: 'service' + n }] } },
      MemorySize: { 'Fn::FindInMap': ['Sizes', { Ref: 'Stage' }, 'Memory'] },
      Timeout: 30,
      Role: { 'Fn::GetAtt': ['Role' + n, 'Arn'] },
      Environment: { Variables: { TABLE: { Ref: 'Table' + n }, REGION: { Ref: 'AWS::Region' } } },
      Tags: tags('function' + n),
    },
  },
  ['Source' + n]: {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: { BatchSize: 10, EventSourceArn: { 'Fn::GetAtt': ['Queue' + n, 'Arn'] }, FunctionName: { Ref: 'Function' + n } },
  },
  ['Alarm' + n]: {
    Type: 'AWS::CloudWatch::Alarm',
    Condition: 'Production',
    Properties: {
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['Dead' + n, 'QueueName'] } }],
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      AlarmActions: [{ Ref: 'Topic' }],
    },
  },
};
{
  AWSTemplateFormatVersion: '2010-09-09',
  Description: 'The same service over and over.',
  Parameters: {
    Stage: { Type: 'String', AllowedValues: ['dev', 'prod'], Default: 'dev' },
    CodeBucket: { Type: 'String', Default: 'code-bucket' },
  },
  Conditions: { Production: { 'Fn::Equals': [{ Ref: 'Stage' }, 'prod'] } },
  Mappings: { Sizes: { dev: { Memory: 256 }, prod: { Memory: 1024 } } },
  Resources: { Topic: { Type: 'AWS::SNS::Topic' } } + std.foldl(function(all, i) all + service(i), std.range(1, COUNT), {}),
  Outputs: { ['Queue%03d' % i]: { Value: { Ref: 'Queue%03d' % i } } for i in std.range(1, COUNT) },
}
`

// writeTemplates writes the templates and returns how many lines the large one has
// as YAML.
func writeTemplates(dir, refline string, lines int) (int, error) {
	if err := os.WriteFile(filepath.Join(dir, "small.yaml"), []byte(small), 0o644); err != nil {
		return 0, err
	}
	for count := 1; ; count++ {
		source := bytes.ReplaceAll([]byte(program), []byte("COUNT"), fmt.Append(nil, count))
		if err := os.WriteFile(filepath.Join(dir, "large.jsonnet"), source, 0o644); err != nil {
			return 0, err
		}
		cmd := exec.Command(refline, "render", "large.jsonnet")
		cmd.Dir = dir
		var problems bytes.Buffer
		cmd.Stderr = &problems
		rendered, err := cmd.Output()
		if err != nil {
			return 0, fmt.Errorf("render the template: %w: %s", err, problems.String())
		}
		var value any
		if err := json.Unmarshal(rendered, &value); err != nil {
			return 0, err
		}
		written, err := yaml.Marshal(value)
		if err != nil {
			return 0, err
		}
		number := bytes.Count(written, []byte("\n"))
		if number < lines {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "large.json"), rendered, 0o644); err != nil {
			return 0, err
		}
		return number, os.WriteFile(filepath.Join(dir, "large.yaml"), written, 0o644)
	}
}
