package pipeline

// Status of a job, a stage or a pipeline, by GitLab's names.
type Status string

// The statuses. A job ends in Success, Failed, Canceled or Skipped; a Manual
// job rests until somebody plays it.
const (
	Created            Status = "created"
	WaitingForResource Status = "waiting_for_resource"
	Preparing          Status = "preparing"
	Pending            Status = "pending"
	Running            Status = "running"
	Success            Status = "success"
	Failed             Status = "failed"
	Canceling          Status = "canceling"
	Canceled           Status = "canceled"
	Skipped            Status = "skipped"
	ManualStatus       Status = "manual"
	Scheduled          Status = "scheduled"
)

// Done reports whether a job in this status will not change by itself and is
// not waiting for anybody.
func (s Status) Done() bool {
	switch s {
	case Success, Failed, Canceled, Skipped:
		return true
	default:
		return false
	}
}

// Active reports whether something is going on: waiting for a runner or on it.
func (s Status) Active() bool {
	switch s {
	case WaitingForResource, Preparing, Pending, Running, Canceling:
		return true
	default:
		return false
	}
}

// JobState is what is known of one job while its pipeline runs.
type JobState struct {
	Status   Status `json:"status"`
	Reason   Reason `json:"reason,omitempty"`  // of the last failure
	Attempt  int    `json:"attempt,omitempty"` // 1 for the first try, grows with each retry
	ExitCode int    `json:"exit_code,omitempty"`
	// AllowFailure starts as the job's and is set when a failure's exit code is
	// one of AllowFailureCodes.
	AllowFailure bool `json:"allow_failure,omitempty"`
	// Asked is set while a manual or delayed job that was retried waits for the
	// jobs before it: it then starts without being played again.
	Asked bool `json:"asked,omitempty"`
}

// Reason of a failure, by GitLab's names.
type Reason string

// The reasons an engine can give.
const (
	ScriptFailure       Reason = "script_failure"
	RunnerSystemFailure Reason = "runner_system_failure"
	JobTimeout          Reason = "job_execution_timeout"
	StuckOrTimeout      Reason = "stuck_or_timeout_failure"
	MissingDependency   Reason = "missing_dependency_failure"
	DownstreamFailed    Reason = "downstream_pipeline_creation_failed"
	UnmetPrerequisites  Reason = "unmet_prerequisites"
	APIFailure          Reason = "api_failure"
	DataIntegrity       Reason = "data_integrity_failure"
	RunnerUnsupported   Reason = "runner_unsupported"
	ImagePullFailure    Reason = "image_pull_failure"
	UnknownFailure      Reason = "unknown_failure"
)

// State is a pipeline's whole state. It is a value; [Advance] returns a new one
// and never writes to the one it was given. The zero State is a pipeline before
// its Create event.
type State struct {
	// Status is the pipeline's, Stages those of its stages in the order of
	// Pipeline.Stages. As in GitLab they depend on what they were before: a
	// skipped stage whose jobs wait again stays skipped until one of them moves,
	// and a pipeline that ran once does not go back to pending.
	Status Status   `json:"status"`
	Stages []Status `json:"stages"`
	// Jobs has one entry a job, in the order of Pipeline.Jobs.
	Jobs []JobState `json:"jobs"`
	// Held names the resource groups that jobs of this pipeline must not take
	// now: a job of another pipeline has them, or comes first. The caller writes
	// it before an event; Free takes a group out again.
	Held []string `json:"held,omitempty"`
}

// EventKind names something that happened to a job or was asked for.
type EventKind string

// The kinds of events. Start, Succeed, Drop and CancelDone are told by whoever
// runs jobs; Play, Cancel, Again are asked for by people; Enqueue says that a
// delayed job's time has come, or lets a manual one start; Create is the first event of each pipeline.
const (
	Create     EventKind = "create"
	Start      EventKind = "start"    // pending → running
	Succeed    EventKind = "success"  // → success; canceling → canceled
	Drop       EventKind = "drop"     // → failed, or a new attempt by retry:; canceling → canceled
	Play       EventKind = "play"     // manual or scheduled → pending; one that ended: as Again
	Enqueue    EventKind = "enqueue"  // scheduled or manual → pending; after a manual one, skipped jobs stay so
	Cancel     EventKind = "cancel"   // of Job, or of the whole pipeline when Job is empty
	CancelDone EventKind = "canceled" // canceling → canceled
	Again      EventKind = "retry"    // a new attempt of a job that ended, or of all that failed when Job is empty
	Free       EventKind = "release"  // Group has become free: waiting_for_resource → pending
)

// Event is one thing that happened.
type Event struct {
	Kind     EventKind `json:"event"`
	Job      string    `json:"job,omitempty"`
	Reason   Reason    `json:"reason,omitempty"`    // Drop
	ExitCode int       `json:"exit_code,omitempty"` // Drop; 0 when the job had none
	Group    string    `json:"group,omitempty"`     // Free
}

// Change is one transition that [Advance] decided. The caller acts on those to
// Pending (start it), Scheduled (wake me after StartIn), Canceling (stop it).
// A new attempt by retry: is one change, from running to pending.
type Change struct {
	Job     string `json:"job"`
	From    Status `json:"from"`
	To      Status `json:"to"`
	Attempt int    `json:"attempt,omitempty"`
}
