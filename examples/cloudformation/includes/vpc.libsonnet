// A VPC with a private subnet in each of two zones.
local tags = import 'tags.libsonnet';

function(cidr) {
  local subnet(zone, block) = {
    Type: 'AWS::EC2::Subnet',
    Properties: {
      VpcId: { Ref: 'Vpc' },
      AvailabilityZone: { 'Fn::Select': [zone, { 'Fn::GetAZs': '' }] },
      CidrBlock: { 'Fn::Select': [block, { 'Fn::Cidr': [{ 'Fn::GetAtt': ['Vpc', 'CidrBlock'] }, 4, 8] }] },
      Tags: tags('private-%d' % zone),
    },
  },

  Vpc: {
    Type: 'AWS::EC2::VPC',
    Properties: {
      CidrBlock: cidr,
      EnableDnsSupport: true,
      EnableDnsHostnames: true,
      Tags: tags('landing'),
    },
  },
  PrivateSubnetA: subnet(0, 0),
  PrivateSubnetB: subnet(1, 1),
}
