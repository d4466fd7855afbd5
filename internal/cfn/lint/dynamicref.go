package lint

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"refline/internal/cfn"
)

var dynamicPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{(resolve:[^}]+)\}\}`) })

var spacedReference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\{\s+resolve\s*:\s*(?:ssm|ssm-secure|secretsmanager)\s*:`)
})

func isDynamicReference(text string) bool { return dynamicPattern().MatchString(text) }

// dynamicReference checks the form of {{resolve:…}} and whether it is allowed
// there.
func (e *engine) dynamicReference(sc *scope, at place, n *cfn.Node, out *problems) {
	for _, m := range dynamicPattern().FindAllStringSubmatch(n.Text, -1) {
		parts := strings.Split(m[1], ":")
		if wrong := dynamicForm(parts); wrong != "" {
			out.add(problem{path: at.path, rule: "E1050", fixed: true, message: show(n) + " is not a dynamic reference: " + wrong})
			continue
		}
		switch parts[1] {
		case "ssm":
			if !ssmAllowed(at.path) {
				out.add(problem{path: at.path, rule: "E1052", fixed: true, message: "references to SSM parameters are not resolved here"})
			}
		case "ssm-secure":
			if !slices.Contains(securePaths(), at.kind.path().String()) {
				out.add(problem{path: at.path, rule: "E1027", fixed: true, message: "SSM secure strings are resolved in a few properties only, and this is not one of them"})
			}
		case "secretsmanager":
			e.secretReference(at, n, out)
		}
	}
}

// dynamicForm returns what is wrong with the parts of a reference, "" if nothing is.
func dynamicForm(parts []string) string {
	if len(parts) < 3 {
		return "the form is {{resolve:service:name}}"
	}
	switch parts[1] {
	case "ssm", "ssm-secure":
		switch {
		case len(parts) > 4:
			return "at most a name and a version"
		case !ssmName().MatchString(parts[2]):
			return "a name has letters, digits and _ . - /"
		case len(parts) == 4 && !strings.ContainsAny(parts[3], "0123456789"):
			return "the version is a number"
		}
	case "secretsmanager":
		offset := 0
		if parts[2] == "arn" {
			offset = 6
			if len(parts) < 9 || parts[7] != "secret" {
				return "the ARN is not the ARN of a secret"
			}
		}
		switch {
		case len(parts) > 7+offset:
			return "at most secret, SecretString, key, stage and version"
		case len(parts) > 3+offset && parts[3+offset] != "SecretString" && parts[3+offset] != "":
			return "after the secret comes SecretString"
		}
	default:
		return "the service is ssm, ssm-secure or secretsmanager"
	}
	return ""
}

var ssmName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[a-zA-Z0-9_.\-/]+`) })

// ssmAllowed reports whether SSM parameters may be resolved at a path. Those in
// a mapping are, where the mapping is used.
func ssmAllowed(path *step) bool {
	switch path.first(0) {
	case "Conditions", "Rules", "Transform":
		return false
	}
	return true
}

// securePaths are the properties in which secure strings of SSM are resolved.
func securePaths() []string {
	return []string{
		"Resources/AWS::DirectoryService::MicrosoftAD/Properties/Password",
		"Resources/AWS::DirectoryService::SimpleAD/Properties/Password",
		"Resources/AWS::ElastiCache::ReplicationGroup/Properties/AuthToken",
		"Resources/AWS::IAM::User/Properties/LoginProfile/Password",
		"Resources/AWS::KinesisFirehose::DeliveryStream/Properties/RedshiftDestinationConfiguration/Password",
		"Resources/AWS::OpsWorks::App/Properties/AppSource/Password",
		"Resources/AWS::OpsWorks::Stack/Properties/RdsDbInstances/*/DbPassword",
		"Resources/AWS::OpsWorks::Stack/Properties/CustomCookbooksSource/Password",
		"Resources/AWS::RDS::DBCluster/Properties/MasterUserPassword",
		"Resources/AWS::RDS::DBInstance/Properties/MasterUserPassword",
		"Resources/AWS::Redshift::Cluster/Properties/MasterUserPassword",
	}
}

func (e *engine) secretReference(at place, n *cfn.Node, out *problems) {
	section, part := at.path.first(0), at.path.first(2)
	if !(section == "Resources" && part == "Properties" || section == "Parameters" && part == "Default") {
		out.add(problem{path: at.path, rule: "E1051", fixed: true, message: "references to Secrets Manager are resolved only in the properties of resources"})
		return
	}
	if section != "Resources" {
		return
	}
	for _, field := range []string{"SecretArn", "SecretARN", "SecretsManagerSecretId", "SecretsManagerOracleAsmSecretId",
		"SecretsManagerSecurityDbEncryptionSecretId", "SecretsManagerConfiguration"} {
		if at.path.has(field) {
			out.add(problem{path: at.path, rule: "W1051", fixed: true, message: field + " takes the ARN of the secret, but " + show(n) + " returns the secret itself"})
		}
	}
}

// dynamicSecret warns of a parameter where a dynamic reference would keep the
// secret (W1011).
func (e *engine) dynamicSecret(c call, name string, out *problems) {
	if e.params[name] != nil && name != loopValue && slices.Contains(securePaths(), c.at.kind.path().String()) && !insideFunction(c.at.path) {
		out.add(problem{path: c.at.path, rule: "W1011", fixed: true, message: "use a dynamic reference for a secret instead of the parameter " + name})
	}
}

// patternExempt is for Serverless templates: a default of an SSM parameter is
// not the value.
func (e *engine) patternExempt(n *cfn.Node) bool {
	if !e.sam {
		return false
	}
	for _, p := range e.params {
		if p.ssm && p.path == n.Text {
			return true
		}
	}
	return false
}
