package stack

import (
	"fmt"
	"strings"
)

// Statuses that the code names.
const (
	createComplete       Status = "CREATE_COMPLETE"
	reviewInProgress     Status = "REVIEW_IN_PROGRESS"
	rollbackComplete     Status = "ROLLBACK_COMPLETE"
	rollbackFailed       Status = "ROLLBACK_FAILED"
	createFailed         Status = "CREATE_FAILED"
	updateFailed         Status = "UPDATE_FAILED"
	updateInProgress     Status = "UPDATE_IN_PROGRESS"
	updateRollbackFailed Status = "UPDATE_ROLLBACK_FAILED"
	deleteSkipped        Status = "DELETE_SKIPPED"
	deleteFailed         Status = "DELETE_FAILED"
	deleteComplete       Status = "DELETE_COMPLETE"
	failed               Status = "FAILED"
	available            Status = "AVAILABLE" // execution of a change set
)

// InProgress reports whether AWS is at work.
func (s Status) InProgress() bool { return strings.HasSuffix(string(s), "_IN_PROGRESS") }

// Good reports whether a stack's or resource's last operation went well.
func (s Status) Good() bool {
	return strings.HasSuffix(string(s), "_COMPLETE") && !strings.Contains(string(s), "ROLLBACK")
}

// Bad reports whether a resource failed, or a stack failed or was rolled back.
func (s Status) Bad() bool {
	return strings.HasSuffix(string(s), "_FAILED") || strings.Contains(string(s), "ROLLBACK")
}

// Recovery says what a state means and which commands lead out of it.
type Recovery struct {
	Problem  string   `json:"problem"`
	Commands []string `json:"commands"`
	CanPlan  bool     `json:"canPlan"` // a plan is possible all the same
}

func (w *Recovery) String() string {
	if len(w.Commands) == 0 {
		return w.Problem
	}
	return w.Problem + ": " + strings.Join(w.Commands, "; or ")
}

// RecoveryOf returns the way out of a state, nil where all is well.
// The commands speak of a stack by its configured name.
func RecoveryOf(s Status, stack, env string) *Recovery {
	command := func(verb string, flags ...string) string {
		return strings.Join(append([]string{"refline stack", verb, stack, "--env", env}, flags...), " ")
	}
	switch s {
	case rollbackComplete:
		return &Recovery{Problem: "its creation failed and was rolled back; it can only be deleted, then planned again",
			Commands: []string{command("delete")}}
	case rollbackFailed:
		return &Recovery{Problem: "its creation failed and could not be rolled back; it can only be deleted",
			Commands: []string{command("delete")}}
	case createFailed:
		return &Recovery{Problem: "its creation failed and what was made is kept; correct it and plan again, or roll it back",
			Commands: []string{command("plan"), command("rollback"), command("delete")}, CanPlan: true}
	case updateFailed:
		return &Recovery{Problem: "an update failed and what was made is kept; correct it and plan again, or roll it back",
			Commands: []string{command("plan"), command("rollback")}, CanPlan: true}
	case updateRollbackFailed:
		return &Recovery{Problem: "an update failed and so did its rollback; remove the cause and continue the rollback, or skip the resources that cannot be rolled back",
			Commands: []string{command("continue"), command("continue", "--skip ID")}}
	case deleteFailed:
		return &Recovery{Problem: "its deletion failed; remove the cause and delete it again, or retain the resources that cannot be deleted",
			Commands: []string{command("delete"), command("delete", "--retain ID")}}
	case reviewInProgress:
		return &Recovery{Problem: "it has plans but was never deployed; deploy one, or remove it",
			Commands: []string{"refline stack deploy PLANFILE", command("delete")}, CanPlan: true}
	case deleteComplete:
		return nil
	}
	if s == updateInProgress {
		return &Recovery{Problem: "AWS is at work on it; wait for the end, or cancel the update",
			Commands: []string{command("events", "--follow"), command("rollback")}}
	}
	if s.InProgress() {
		return &Recovery{Problem: fmt.Sprintf("AWS is at work on it; wait for the end (watch: %s)", command("events", "--follow"))}
	}
	return nil
}
