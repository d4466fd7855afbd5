package stacktest

import (
	"slices"
	"strings"
)

// kind is what the cloud knows of a type of resource. In names, {name} is the
// property that names it or a name that the service invents, {id} the physical
// id, {account}, {region} and {partition} what they say.
type kind struct {
	named      string   // property that names it
	physical   string   // "" is {name}
	replaces   []string // properties whose change makes a new one, named among them
	perhaps    []string // properties whose change may make a new one
	attributes map[string]string
	stateful   bool // DeletionPolicy Snapshot is allowed
	untagged   bool
}

// kinds is a table of the types that tests use; any other is like an SSM
// parameter without a name. Create-only properties are those of the public
// resource schemas.
func kindOf(name string) kind {
	switch name {
	case "AWS::S3::Bucket":
		return kind{named: "BucketName", replaces: []string{"BucketName"}, attributes: map[string]string{
			"Arn": "arn:{partition}:s3:::{id}", "DomainName": "{id}.s3.amazonaws.com",
			"RegionalDomainName": "{id}.s3.{region}.amazonaws.com"}}
	case "AWS::S3::BucketPolicy":
		return kind{replaces: []string{"Bucket"}, untagged: true}
	case "AWS::SNS::Topic":
		return kind{named: "TopicName", physical: "arn:{partition}:sns:{region}:{account}:{name}",
			replaces: []string{"TopicName", "FifoTopic"}, attributes: map[string]string{"TopicArn": "{id}", "TopicName": "{name}"}}
	case "AWS::SQS::Queue":
		return kind{named: "QueueName", physical: "https://sqs.{region}.amazonaws.com/{account}/{name}",
			replaces:   []string{"QueueName", "FifoQueue"},
			attributes: map[string]string{"Arn": "arn:{partition}:sqs:{region}:{account}:{name}", "QueueName": "{name}"}}
	case "AWS::SSM::Parameter":
		return kind{named: "Name", replaces: []string{"Name"}}
	case "AWS::Logs::LogGroup":
		return kind{named: "LogGroupName", replaces: []string{"LogGroupName"},
			attributes: map[string]string{"Arn": "arn:{partition}:logs:{region}:{account}:log-group:{id}:*"}}
	case "AWS::DynamoDB::Table":
		return kind{named: "TableName", replaces: []string{"TableName", "ImportSourceSpecification"}, perhaps: []string{"KeySchema"},
			attributes: map[string]string{"Arn": "arn:{partition}:dynamodb:{region}:{account}:table/{id}"}}
	case "AWS::IAM::Role":
		return kind{named: "RoleName", replaces: []string{"RoleName", "Path"},
			attributes: map[string]string{"Arn": "arn:{partition}:iam::{account}:role/{id}"}}
	case "AWS::RDS::DBInstance":
		return kind{named: "DBInstanceIdentifier", replaces: []string{"DBInstanceIdentifier", "DBName", "MasterUsername"},
			perhaps: []string{"Engine"}, stateful: true}
	case "AWS::EC2::VPC":
		return kind{physical: "vpc-{hex}", replaces: []string{"CidrBlock", "Ipv4IpamPoolId"},
			perhaps: []string{"InstanceTenancy"}, attributes: map[string]string{"VpcId": "{id}"}}
	case "AWS::EC2::Subnet":
		return kind{physical: "subnet-{hex}", replaces: []string{"AvailabilityZone", "CidrBlock", "VpcId"},
			attributes: map[string]string{"SubnetId": "{id}"}}
	case "AWS::EC2::SecurityGroup":
		return kind{physical: "sg-{hex}", replaces: []string{"GroupDescription", "GroupName", "VpcId"},
			attributes: map[string]string{"GroupId": "{id}"}}
	case "AWS::EC2::InternetGateway":
		return kind{physical: "igw-{hex}"}
	case "AWS::EC2::RouteTable":
		return kind{physical: "rtb-{hex}", replaces: []string{"VpcId"}}
	case "AWS::EC2::Route":
		return kind{replaces: []string{"DestinationCidrBlock", "RouteTableId"}, untagged: true}
	case "AWS::EC2::VPCGatewayAttachment", "AWS::EC2::SubnetRouteTableAssociation":
		return kind{replaces: []string{"VpcId", "SubnetId", "RouteTableId"}, untagged: true}
	case "AWS::EC2::Volume":
		return kind{physical: "vol-{hex}", replaces: []string{"Encrypted", "KmsKeyId", "SnapshotId"}, stateful: true}
	case stackKind:
		return kind{}
	default:
		return kind{untagged: true}
	}
}

const stackKind = "AWS::CloudFormation::Stack"

func needsIAM(name string, properties map[string]any) (capability string) {
	switch name {
	case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::ManagedPolicy":
		for _, p := range []string{"RoleName", "UserName", "GroupName", "ManagedPolicyName"} {
			if properties[p] != nil {
				return "CAPABILITY_NAMED_IAM"
			}
		}
		return "CAPABILITY_IAM"
	case "AWS::IAM::Policy", "AWS::IAM::InstanceProfile", "AWS::IAM::AccessKey", "AWS::IAM::UserToGroupAddition":
		return "CAPABILITY_IAM"
	default:
		return ""
	}
}

// recreation says what a change of a property does: Never, Conditionally, Always.
func (k kind) recreation(property string) string {
	switch {
	case slices.Contains(k.replaces, property):
		return "Always"
	case slices.Contains(k.perhaps, property):
		return "Conditionally"
	default:
		return "Never"
	}
}

// invent gives a new resource its name and physical id.
func (s *Server) invent(st *stack, d *declaration, properties map[string]any) (name, id string) {
	k := kindOf(d.kind)
	name = text(properties[k.named])
	if k.named == "" || name == "" {
		name = st.name + "-" + d.name + "-" + s.suffix()
		if d.kind == "AWS::S3::Bucket" {
			name = strings.ToLower(name)
		}
	}
	if k.physical == "" {
		return name, name
	}
	hex := strings.ReplaceAll(s.uuid(), "-", "")
	return name, st.fill(k.physical, name, "", hex[len(hex)-17:])
}

func (st *stack) fill(format, name, id, hex string) string {
	return strings.NewReplacer("{name}", name, "{id}", id, "{hex}", hex, "{account}", st.identity.account,
		"{region}", st.identity.region, "{partition}", partition(st.identity.region)).Replace(format)
}

// get is an attribute of a resource that exists.
func (st *stack) get(r *resource, attribute string) string {
	if r.nested != nil {
		if key, ok := strings.CutPrefix(attribute, "Outputs."); ok {
			for _, o := range r.nested.outputs {
				if o.key == key {
					return o.value
				}
			}
		}
	}
	if format, ok := kindOf(r.kind).attributes[attribute]; ok {
		return st.fill(format, r.name, r.physical, "")
	}
	if v, ok := r.properties[attribute]; ok {
		return text(v)
	}
	if attribute == "Arn" {
		parts := strings.Split(strings.ToLower(r.kind), "::")
		service := parts[min(1, len(parts)-1)]
		return st.fill("arn:{partition}:"+service+":{region}:{account}:{id}", r.name, r.physical, "")
	}
	return r.physical + "." + attribute
}
