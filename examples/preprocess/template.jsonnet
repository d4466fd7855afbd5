local bucket = import 'bucket.libsonnet';

{
  Description: 'Buckets of ' + std.extVar('environment'),
  Resources: {
    Logs: bucket('logs-' + std.extVar('environment'), versioned=false),
    Landing: bucket('landing-' + std.extVar('environment')),
  },
}
