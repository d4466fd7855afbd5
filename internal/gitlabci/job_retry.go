package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// readRetry decodes retry: a number, or a map of max, when and exit_codes.
func (r reader) readRetry(n *node, path string) pipeline.Retry {
	const most = 2
	if n.kind != mapNode {
		if n.kind != intNode {
			r.wrong(n, path, "a whole number or a map")
			return pipeline.Retry{}
		}
		count, _ := r.integer(n, path, 0, most)
		return pipeline.Retry{Max: count, When: []string{"always"}}
	}
	r.mapping(n, path, "max", "when", "exit_codes")
	var retry pipeline.Retry
	retry.Max, _ = r.integer(n.get("max"), path+":max", 0, most)
	if when := n.get("when"); !absent(when) {
		retry.When = r.texts(when, path+":when")
		for i, reason := range retry.When {
			at := when
			if when.kind == seqNode && len(when.items) == len(retry.When) {
				at = when.items[i]
			}
			if !slices.Contains(retryReasons, reason) {
				r.unknownValue(at, path+":when", reason, "failure reason", retryReasons)
			}
		}
	}
	retry.ExitCodes = r.integers(n.get("exit_codes"), path+":exit_codes")
	if retry.When == nil && retry.ExitCodes == nil {
		retry.When = []string{"always"}
	}
	return retry
}

// retryReasons are the failure reasons of GitLab 19.4, old names included.
var retryReasons = []string{
	"always", "unknown_failure", "script_failure", "api_failure", "stuck_or_timeout_failure",
	"runner_system_failure", "missing_dependency_failure", "runner_unsupported", "stale_schedule",
	"job_execution_timeout", "archived_failure", "unmet_prerequisites", "scheduler_failure",
	"data_integrity_failure", "forward_deployment_failure", "user_blocked", "project_deleted",
	"ci_quota_exceeded", "pipeline_loop_detected", "no_matching_runner", "trace_size_exceeded",
	"builds_disabled", "environment_creation_failure", "deployment_rejected",
	"failed_outdated_deployment_job", "job_execution_server_timeout",
	"stuck_pending_with_matching_runners", "stuck_pending_no_matching_runners",
	"no_updates_running", "no_updates_canceling", "server_timeout_running", "server_timeout_canceling",
	"runner_configuration_error", "runner_external_dependency_failure", "runner_interrupted",
	"runner_provisioning_timeout", "image_pull_failure", "protected_environment_failure",
	"insufficient_bridge_permissions", "downstream_bridge_project_not_found", "invalid_bridge_trigger",
	"upstream_bridge_project_not_found", "insufficient_upstream_permissions",
	"bridge_pipeline_is_child_pipeline", "downstream_pipeline_creation_failed",
	"secrets_provider_not_found", "secrets_manager_access_denied",
	"reached_max_descendant_pipelines_depth", "ip_restriction_failure",
	"reached_max_pipeline_hierarchy_size", "reached_downstream_pipeline_trigger_rate_limit",
	"duo_workflow_not_allowed", "duo_workflow_connection_failure", "job_router_failure",
	"job_token_expired", "id_token_burned_project_path", "downstream_project_trigger_resolved_to_empty",
}
