package stack

import (
	"fmt"
	"slices"
	"strings"

	"refline/internal/stack/planfile"
)

// statefulTypes hold what cannot be made again from a template.
func statefulTypes() []string {
	return []string{
		"AWS::Backup::BackupVault", "AWS::Cassandra::Table", "AWS::CodeCommit::Repository", "AWS::Cognito::UserPool",
		"AWS::DocDB::DBCluster", "AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table", "AWS::EC2::Volume",
		"AWS::ECR::Repository", "AWS::EFS::FileSystem", "AWS::ElastiCache::CacheCluster",
		"AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::ServerlessCache", "AWS::Elasticsearch::Domain",
		"AWS::FSx::FileSystem", "AWS::KMS::Key", "AWS::Kinesis::Stream", "AWS::Logs::LogGroup", "AWS::MSK::Cluster",
		"AWS::MemoryDB::Cluster", "AWS::Neptune::DBCluster", "AWS::OpenSearchService::Domain", "AWS::RDS::DBCluster",
		"AWS::RDS::DBInstance", "AWS::RDS::GlobalCluster", "AWS::Redshift::Cluster", "AWS::RedshiftServerless::Namespace",
		"AWS::Route53::HostedZone", "AWS::S3::Bucket", "AWS::S3Express::DirectoryBucket", "AWS::SDB::Domain",
		"AWS::SQS::Queue", "AWS::SecretsManager::Secret", "AWS::Timestream::Database", "AWS::Timestream::Table",
		nestedStack, // whatever is in it
	}
}

// guard marks what holds data and adds the refusals: stateful resources that
// are replaced or removed without leave, and what the review rules forbid.
func guard(p *planfile.Plan, c *Config, rules *Rules) {
	stateful := append(statefulTypes(), c.Stateful...)
	used := map[string]bool{}
	for i := range p.Changes {
		change := &p.Changes[i]
		change.Stateful = slices.ContainsFunc(stateful, func(t string) bool { return like(t, change.Type) })
		if !change.Stateful || change.Data == "" {
			continue
		}
		if slices.Contains(p.Allowed, change.ID()) {
			used[change.ID()] = true
			continue
		}
		p.Refusals = append(p.Refusals, planfile.Refusal{ID: change.ID(), Rule: "stateful",
			Message: fmt.Sprintf("%s (%s) holds data and %s", change.ID(), change.Type, threat(*change)),
			Hint:    "if intended: --allow-replace " + change.ID()})
	}
	for _, id := range p.Allowed {
		if !used[id] {
			p.Notes = append(p.Notes, fmt.Sprintf("--allow-replace %s was not needed", id))
		}
	}
	if rules != nil {
		p.Refusals = append(p.Refusals, rules.check(p)...)
	}
}

// threat says what a change does to a resource and its data.
func threat(c planfile.Change) string {
	what := "would be replaced"
	switch c.Effect {
	case planfile.EffectRemove:
		what = "would be removed"
	case planfile.EffectMaybe:
		what = "may be replaced"
	}
	return what + "; " + c.DataSentence()
}

// like matches a name with a pattern, in which * matches any characters.
func like(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, last)
}
