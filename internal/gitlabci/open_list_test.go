package gitlabci

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestListsThatGrow: a value of a newer GitLab is a warning where Refline only
// passes it on, an error where it decides how a job runs.
func TestListsThatGrow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"reasons":        {"retry: {max: 1, when: [job_execution_server_timeout, runner_interrupted, duo_workflow_not_allowed, stuck_pending_no_matching_runners, secrets_manager_access_denied]}", ""},
		"a new reason":   {"retry: {max: 1, when: [script_failure, eaten_by_a_bear]}", `1:55: warning: job "j": retry:when "eaten_by_a_bear" is not a failure reason that Refline knows; GitLab refuses it unless your version has it`},
		"one new reason": {"retry: {when: script_failur}", `1:30: warning: job "j": retry:when "script_failur" is not a failure reason that Refline knows; did you mean "script_failure"?`},
		"a new report":   {"artifacts: {reports: {quantum_leap: a.json}}", `1:38: warning: job "j": artifacts:reports "quantum_leap" is not a report that Refline knows; GitLab refuses it unless your version has it`},
		"a wrong report": {"artifacts: {reports: {junitt: a.xml}}", `1:38: error: "junitt" is not a keyword of artifacts:reports in job "j"; did you mean "junit"?`},
		"a new store":    {"secrets: {S: {my_vault: {path: a}, file: false}}", `1:40: warning: job "j": secrets:S "my_vault" is not a secret store that Refline knows; GitLab refuses it unless your version has it`},
		"a wrong store":  {"secrets: {S: {vualt: a}}", "1:29: error: job \"j\": secrets:S must name its secret store: one of vault, azure_key_vault, gcp_secret_manager, aws_secrets_manager, akeyless, gitlab_secrets_manager\n" + `1:30: error: "vualt" is not a keyword of secrets:S in job "j"; did you mean "vault"?`},
		"a new tier":     {"environment: {name: a, deployment_tier: canary}", `1:56: warning: job "j": environment:deployment_tier "canary" is not a deployment tier that Refline knows; GitLab refuses it unless your version has it`},
		"a tier by name": {"environment: {name: a, deployment_tier: $TIER}", ""},
		"a new policy":   {"cache: {policy: often}", `1:32: error: job "j": cache:policy must be pull-push, pull, push or a variable, not "often"`},
		"a new identity": {"identity: aws", `1:26: error: job "j": identity must be one of google_cloud, not "aws"`},
		"a new pull":     {"image: {name: a, pull_policy: hourly}", `1:46: error: job "j": image:pull_policy must be always, if-not-present or never, not "hourly"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := compiled(t, "j: {script: x, "+tt.text+"}")
			if diff := cmp.Diff(tt.want, said(res)); diff != "" {
				t.Error(diff)
			}
			if tt.want == "" && res.Pipeline == nil {
				t.Error("no pipeline")
			}
		})
	}
}

// TestNewKindsAreKept: what is only passed on is in the pipeline.
func TestNewKindsAreKept(t *testing.T) {
	t.Parallel()
	j := mustCompile(t, "j: {script: x, artifacts: {reports: {quantum_leap: [a, b]}}, secrets: {S: {my_vault: {path: a}}}, retry: {max: 1, when: eaten}}").Jobs[0]
	if diff := cmp.Diff(map[string][]string{"quantum_leap": {"a", "b"}}, j.Artifacts.Reports); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(any(map[string]any{"my_vault": map[string]any{"path": "a"}}), j.Secrets[0].Source); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"eaten"}, j.Retry.When); diff != "" {
		t.Error(diff)
	}
}

// TestDefaultTimeout: GitLab reads it and gives it to no job.
func TestDefaultTimeout(t *testing.T) {
	t.Parallel()
	res := compiled(t, "default: {timeout: 1 minute}\na: {script: x}\nb: {script: x, timeout: 2 minutes}")
	want := `1:11: warning: default:timeout has no effect: GitLab does not apply it to jobs; set timeout in each job, or in a hidden job that they extend`
	if got := said(res); got != want {
		t.Errorf("said %s, want %s", got, want)
	}
	if a, b := res.Pipeline.Job("a"), res.Pipeline.Job("b"); a.Timeout != 0 || b.Timeout.D().Minutes() != 2 {
		t.Errorf("timeouts %s and %s, want none and 2 minutes", a.Timeout, b.Timeout)
	}
	want = "1:11: warning: default:timeout has no effect: GitLab does not apply it to jobs; set timeout in each job, or in a hidden job that they extend\n" +
		`1:20: error: default:timeout must be a duration, not "soon"; as "1h 30m", "90 minutes" or "2 days"`
	if got := said(compiled(t, "default: {timeout: soon}\na: {script: x}")); got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}
