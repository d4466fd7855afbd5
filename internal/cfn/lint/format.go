package lint

import (
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"refline/internal/cfn"
)

// format checks a text against a named format. Unknown formats allow
// everything.
func (e *engine) format(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if n.Kind != cfn.String {
		return
	}
	if known, ok := plainFormat(s.format, n.Text); known {
		if !ok {
			e.report(sc, at, s, n, "format", show(n)+" is not of the format "+s.format, out)
			out.list[len(out.list)-1].rule = formatRule(sc)
		}
		return
	}
	f := resourceFormats()[s.format]
	if f == nil || f.pattern.match(n.Text) {
		return
	}
	switch kind := at.kind.path().String(); {
	case s.format == "AWS::S3::Bucket.Name" && n.Text == "" && kind == "Resources/AWS::S3::Bucket/Properties/BucketName":
		return
	case s.format == "AWS::EC2::Image.Id" && strings.HasPrefix(n.Text, "resolve:ssm") &&
		kind == "Resources/AWS::EC2::LaunchTemplate/Properties/LaunchTemplateData/ImageId":
		return
	}
	out.add(problem{path: at.path, keyword: "format", rule: f.rule, fixed: true,
		message: show(n) + " is not " + f.what, hint: "it must match " + f.pattern.text})
}

// formatRule is the rule for a plain format: the one that checks the schema, or
// E1103 in the template's own parts.
func formatRule(sc *scope) string {
	if sc.rules != nil && sc.rules.id != "E1001" {
		return sc.rules.id
	}
	return "E1103"
}

// plainFormat checks the formats of JSON Schema. known is false for others.
func plainFormat(format, text string) (known, ok bool) {
	switch format {
	case "ipv4":
		a, err := netip.ParseAddr(text)
		return true, err == nil && a.Is4()
	case "ipv6":
		a, err := netip.ParseAddr(text)
		return true, err == nil && a.Is6() && a.Zone() == ""
	case "ipv4-network", "ipv6-network":
		return true, isNetwork(text, format == "ipv4-network")
	case "email":
		return true, strings.Contains(text, "@")
	case "date":
		return true, datePattern().MatchString(text)
	case "date-time":
		return true, dateTimePattern().MatchString(text)
	case "time":
		return true, dateTimePattern().MatchString("1970-01-01T" + text)
	case "regex":
		return true, newPattern(text).valid()
	}
	return false, true
}

// isNetwork reports whether text is a network whose host bits are zero.
func isNetwork(text string, four bool) bool {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		return err == nil && a.Is4() == four
	}
	p, err := netip.ParsePrefix(text)
	return err == nil && p.Addr().Is4() == four && p.Masked() == p
}

var datePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$`)
})

var dateTimePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[tT](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$`)
})

// resourceFormat is the form of a name or an id of a kind of resource.
type resourceFormat struct {
	rule, what string
	pattern    *pattern
}

var resourceFormats = sync.OnceValue(func() map[string]*resourceFormat {
	const arn = `^arn:aws[a-zA-Z-]*:`
	f := func(rule, what, text string) *resourceFormat {
		return &resourceFormat{rule, what, newPattern(text)}
	}
	return map[string]*resourceFormat{
		"AWS::EC2::SecurityGroup.Id":   f("E1150", "the id of a security group", `^sg-([a-fA-F0-9]{8}|[a-fA-F0-9]{17})$`),
		"AWS::EC2::VPC.Id":             f("E1151", "the id of a VPC", `^vpc-(([0-9A-Fa-f]{8})|([0-9A-Fa-f]{17}))$`),
		"AWS::EC2::Image.Id":           f("E1152", "the id of an image", `^ami-([0-9a-z]{8}|[0-9a-z]{17})$`),
		"AWS::EC2::SecurityGroup.Name": f("E1153", "the name of a security group", `^[a-zA-Z0-9 \._\-:\/()#\,@\[\]+=&;\{\}!\$\*]+$`),
		"AWS::EC2::Subnet.Id":          f("E1154", "the id of a subnet", `^subnet-(([0-9A-Fa-f]{8})|([0-9A-Fa-f]{17}))$`),
		"AWS::Logs::LogGroup.Name":     f("E1155", "the name of a log group", `^[\.\-_\/#A-Za-z0-9]{1,512}\z`),
		"AWS::IAM::Role.Arn":           f("E1156", "the ARN of a role", arn+`iam::\d{12}:role/.+$`),
		"AWS::KMS::Key.Arn":            f("E1157", "the ARN of a KMS key", arn+`kms:[a-z0-9-]+:\d{12}:(key|alias)/.+$`),
		"AWS::SNS::Topic.Arn":          f("E1158", "the ARN of a topic", arn+`sns:[a-z0-9-]+:\d{12}:.+$`),
		"AWS::ACM::Certificate.Arn":    f("E1159", "the ARN of a certificate", arn+`acm:[a-z0-9-]+:\d{12}:certificate/.+$`),
		"AWS::Lambda::Function.Arn":    f("E1160", "the ARN of a function", arn+`lambda:[a-z0-9-]+:\d{12}:function:.+(:.+)?$`),
		"AWS::S3::Bucket.Name":         f("E1161", "the name of a bucket", `^(?![.\-])(?!.*\.\.)(?!.*\-\.)(?!.*\.\-)[a-z0-9.\-]{3,63}(?<![.\-])$`),
		"AWS::KMS::Key.Id":             f("E1162", "the id of a KMS key", `^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|alias/[a-zA-Z0-9/_-]+)$`),
		"AWS::KMS::Alias.AliasName":    f("E1164", "the name of a KMS alias", `^alias/[a-zA-Z0-9:/_-]+$`),
	}
})
