// The tags of everything that a stack holds, as CloudFormation's list.
function(environment, name) [
  { Key: 'Name', Value: name },
  { Key: 'Environment', Value: environment },
  { Key: 'ManagedBy', Value: 'refline' },
]
