package lint

import (
	"strings"
	"testing"
)

func TestReplaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, path string
		want       Replacement
	}{
		{"AWS::S3::Bucket", "BucketName", ReplacementAlways},
		{"AWS::S3::Bucket", "BucketName/Fn::Sub", ReplacementAlways},
		{"AWS::S3::Bucket", "Tags/0/Value", ""},
		{"AWS::EC2::VPC", "EnableDnsHostnames", ""},
		{"AWS::EC2::Subnet", "VpcId", ReplacementAlways},
		{"AWS::SQS::Queue", "FifoQueue", ReplacementAlways},
		{"AWS::EC2::VPC", "InstanceTenancy", ReplacementMaybe},
		{"Custom::Thing", "Any", ""},
		{"AWS::No::Such", "Name", ""},
	} {
		got, err := Replaces(c.kind, strings.Split(c.path, "/"))
		if err != nil || got != c.want {
			t.Errorf("%s %s: got %q, %v, want %q", c.kind, c.path, got, err, c.want)
		}
	}
}
