// The tags of all resources of a stack, as a list for CloudFormation.
function(environment, name) [
  { Key: 'Name', Value: name },
  { Key: 'Environment', Value: environment },
  { Key: 'ManagedBy', Value: 'refline' },
]
