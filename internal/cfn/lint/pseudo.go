package lint

import (
	"strings"

	"refline/internal/cfn"
)

func isPseudo(name string) bool {
	switch name {
	case "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix":
		return true
	}
	return false
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// pseudoValue is a value of the right form, for checks of what is made of it.
func pseudoValue(name, region string) *cfn.Node {
	text := func(s string) *cfn.Node { return text2node(s, cfn.Pos{}) }
	const account = "123456789012"
	switch name {
	case "AWS::AccountId":
		return text(account)
	case "AWS::StackName":
		return text("teststack")
	case "AWS::Region":
		return text(region)
	case "AWS::Partition":
		return text(partition(region))
	case "AWS::StackId":
		return text("arn:" + partition(region) + ":cloudformation:" + region + ":" + account + ":stack/teststack/51af3dc0-da77-11e4-872e-1234567db123")
	case "AWS::NotificationARNs":
		return &cfn.Node{Kind: cfn.List, Items: []*cfn.Node{text("arn:" + partition(region) + ":sns:" + region + ":" + account + ":notification")}}
	default: // AWS::URLSuffix
		if strings.HasPrefix(region, "cn-") {
			return text("amazonaws.com.cn")
		}
		return text("amazonaws.com")
	}
}
