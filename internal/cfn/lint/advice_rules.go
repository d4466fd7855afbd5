package lint

import (
	"strings"

	"refline/internal/cfn"
)

// oldInstances reports instance types of an earlier generation (I3100).
func (e *engine) oldInstances() {
	old := e.lint.pattern(`(^|\.)([cmr][1-3]|cc2|cg1|cr1|g2|hi1|hs1|i2|t1)($|\.)`)
	paths := map[string][]string{
		"AWS::AutoScaling::LaunchConfiguration":    {"InstanceType"},
		"AWS::EC2::CapacityReservation":            {"InstanceType"},
		"AWS::EC2::Host":                           {"InstanceType"},
		"AWS::EC2::Instance":                       {"InstanceType"},
		"AWS::RDS::DBInstance":                     {"DBInstanceClass"},
		"AWS::ElastiCache::CacheCluster":           {"CacheNodeType"},
		"AWS::ElastiCache::GlobalReplicationGroup": {"CacheNodeType"},
		"AWS::ElastiCache::ReplicationGroup":       {"CacheNodeType"},
		"AWS::EC2::LaunchTemplate":                 {"LaunchTemplateData", "InstanceType"},
		"AWS::OpenSearchService::Domain":           {"ClusterConfig", "InstanceType"},
		"AWS::Elasticsearch::Domain":               {"ElasticsearchClusterConfig", "InstanceType"},
	}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		if path, ok := paths[r.kind]; ok {
			for _, f := range e.follow(&scope{functions: fnValues}, at, props, path) {
				if f.value.IsString() && old.match(f.value.Text) {
					e.add("I3100", f.at.path, f.value.Text+" is of an earlier generation", "")
				}
			}
		}
	})
}

// fixedPartitions reports ARNs in Fn::Sub that work in one partition only
// (I3042).
func (e *engine) fixedPartitions() {
	if e.sam {
		return
	}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		e.visit(at, props, func(at place, n *cfn.Node) bool {
			if n.IsString() && strings.Contains(n.Text, "arn:aws") && at.path.has("Fn::Sub") {
				e.add("I3042", at.path, "this ARN works in one partition only", "write arn:${AWS::Partition}:…")
			}
			return true
		})
	})
}
