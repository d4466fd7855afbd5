// A bucket with the settings that every bucket here has.
function(name, versioned=true) {
  Type: 'AWS::S3::Bucket',
  Properties: {
    BucketName: name,
    [if versioned then 'VersioningConfiguration']: { Status: 'Enabled' },
  },
}
