// A landing zone: a VPC, a bucket for incoming data, and a bucket for its logs.
local landing = import 'includes/s3landingbucket.libsonnet';
local logging = import 'includes/s3loggingbucket.libsonnet';
local vpc = import 'includes/vpc.libsonnet';

local environment = std.extVar('environment');

{
  AWSTemplateFormatVersion: '2010-09-09',
  Description: 'Landing zone, ' + environment,
  Parameters: {
    VpcCidr: { Type: 'String', AllowedPattern: '[0-9.]+/[0-9]+', Description: 'Addresses of the VPC' },
  },
  Resources:
    vpc(environment, { Ref: 'VpcCidr' }) +
    logging(environment, keepDays=if environment == 'prod' then 365 else 30) +
    landing(environment, 'LoggingBucket'),
  Outputs: {
    VpcId: { Value: { Ref: 'Vpc' } },
    LandingBucketName: { Value: { Ref: 'LandingBucket' } },
    LandingBucketArn: { Value: { 'Fn::GetAtt': ['LandingBucket', 'Arn'] } },
  },
}
