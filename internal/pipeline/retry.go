package pipeline

import "slices"

// neverRetried are failures that another attempt would only repeat.
var neverRetried = [...]Reason{
	ReasonMissingDependency, "ci_quota_exceeded", "no_matching_runner",
	"forward_deployment_failure", "environment_creation_failure",
}

// wants reports whether a failed job gets another attempt by itself. All attempts
// count, including those that people asked for.
func (r Retry) wants(failed JobState) bool {
	if failed.Attempt > r.Max || slices.Contains(neverRetried[:], failed.Reason) {
		return false
	}
	if failed.ExitCode != 0 && slices.Contains(r.ExitCodes, failed.ExitCode) {
		return true
	}
	if len(r.When) == 0 {
		return len(r.ExitCodes) == 0
	}
	return slices.Contains(r.When, "always") || slices.Contains(r.When, string(failed.Reason))
}
