// A landing zone: a VPC, a bucket that data lands in, and one for its logs.
//
//   jsonnet template.jsonnet -o template.json     (or refline render)
//
// What differs between environments are parameters of the template, so the same
// template goes everywhere.
local landing = import 'includes/s3landingbucket.libsonnet';
local logging = import 'includes/s3loggingbucket.libsonnet';
local vpc = import 'includes/vpc.libsonnet';

{
  AWSTemplateFormatVersion: '2010-09-09',
  Description: 'Landing zone',
  Parameters: {
    Environment: { Type: 'String', AllowedValues: ['dev', 'prod'], Description: 'Where the stack is deployed' },
    ProjectName: { Type: 'String', AllowedPattern: '[a-z][a-z0-9-]{1,30}', Description: 'Begins the names of what the stack has' },
    ProjectUrl: { Type: 'String', AllowedPattern: 'https?://.+', Description: 'Where the source of the stack is' },
    VpcCidr: { Type: 'String', AllowedPattern: '[0-9.]+/[0-9]+', Description: 'Addresses of the VPC' },
    LogDays: { Type: 'Number', Default: 30, MinValue: 1, Description: 'How long access logs are kept' },
  },
  Resources:
    vpc({ Ref: 'VpcCidr' }) +
    logging({ Ref: 'LogDays' }) +
    landing('LoggingBucket'),
  Outputs: {
    VpcId: { Value: { Ref: 'Vpc' } },
    LandingBucketName: { Value: { Ref: 'LandingBucket' } },
    LandingBucketArn: { Value: { 'Fn::GetAtt': ['LandingBucket', 'Arn'] } },
  },
}
