// The tags of everything that a stack has, as CloudFormation's list.
function(name) [
  { Key: 'Name', Value: { 'Fn::Sub': '${ProjectName}-%s' % name } },
  { Key: 'Environment', Value: { Ref: 'Environment' } },
  { Key: 'Project', Value: { Ref: 'ProjectUrl' } },
  { Key: 'ManagedBy', Value: 'refline' },
]
