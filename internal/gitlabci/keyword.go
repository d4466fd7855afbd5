package gitlabci

// The keywords of each level, from GitLab's own validation. Keywords that only the
// schema of editors has are not included.
var (
	rootKeywords = []string{
		"after_script", "before_script", "cache", "default", "image", "include",
		"services", "stages", "variables", "workflow",
	}
	defaultKeywords = []string{
		"after_script", "artifacts", "before_script", "cache", "hooks", "id_tokens", "identity",
		"image", "interruptible", "retry", "services", "tags", "timeout",
	}
	// aliasKeywords may also be at the top level instead of in default.
	aliasKeywords = []string{"after_script", "before_script", "cache", "image", "services"}

	jobKeywords = []string{
		"after_script", "allow_failure", "artifacts", "before_script", "cache", "coverage",
		"dast_configuration", "dependencies", "environment", "except", "extends", "hooks", "id_tokens",
		"identity", "image", "inherit", "inputs", "interruptible", "manual_confirmation", "needs", "only",
		"pages", "parallel", "publish", "release", "resource_group", "retry", "rules", "run", "script",
		"secrets", "services", "stage", "start_in", "tags", "timeout", "variables", "when",
	}
	bridgeKeywords = []string{
		"allow_failure", "environment", "except", "extends", "inherit", "interruptible", "needs", "only",
		"parallel", "resource_group", "rules", "stage", "trigger", "variables", "when",
	}
	ruleKeywords = []string{
		"allow_failure", "changes", "exists", "if", "interruptible", "needs", "start_in", "variables", "when",
	}
	workflowRuleKeywords = []string{
		"allow_failure", "auto_cancel", "changes", "exists", "if", "needs", "start_in", "variables", "when",
	}
)
