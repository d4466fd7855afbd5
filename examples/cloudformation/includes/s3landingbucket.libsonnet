// The bucket for incoming data: versioned, encrypted, with access logs.
local tags = import 'tags.libsonnet';

function(loggingBucket) {
  LandingBucket: {
    Type: 'AWS::S3::Bucket',
    DeletionPolicy: 'RetainExceptOnCreate',
    UpdateReplacePolicy: 'Retain',
    Properties: {
      BucketName: { 'Fn::Sub': '${ProjectName}-${Environment}-${AWS::AccountId}' },
      VersioningConfiguration: { Status: 'Enabled' },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
      LoggingConfiguration: {
        DestinationBucketName: { Ref: loggingBucket },
        LogFilePrefix: 'landing/',
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      Tags: tags('landing'),
    },
  },
}
