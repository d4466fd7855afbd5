// A bucket with the common settings.
function(name, versioned=true) {
  Type: 'AWS::S3::Bucket',
  Properties: {
    BucketName: name,
    [if versioned then 'VersioningConfiguration']: { Status: 'Enabled' },
  },
}
