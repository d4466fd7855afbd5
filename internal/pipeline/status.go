package pipeline

// Status of a job, a stage or a pipeline, by GitLab's names.
type Status string

// The statuses. A job ends in Success, Failed, Canceled or Skipped; a Manual
// job rests until it is played.
const (
	StatusCreated            Status = "created"
	StatusWaitingForResource Status = "waiting_for_resource"
	StatusPreparing          Status = "preparing"
	StatusPending            Status = "pending"
	StatusRunning            Status = "running"
	StatusSuccess            Status = "success"
	StatusFailed             Status = "failed"
	StatusCanceling          Status = "canceling"
	StatusCanceled           Status = "canceled"
	StatusSkipped            Status = "skipped"
	StatusManual             Status = "manual"
	StatusScheduled          Status = "scheduled"
)

// Done reports whether a job in this status will not change by itself and is
// not waiting for anybody.
func (s Status) Done() bool {
	switch s {
	case StatusSuccess, StatusFailed, StatusCanceled, StatusSkipped:
		return true
	default:
		return false
	}
}

// Active reports whether something is going on: waiting for a runner or on it.
func (s Status) Active() bool {
	switch s {
	case StatusWaitingForResource, StatusPreparing, StatusPending, StatusRunning, StatusCanceling:
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
	ReasonScriptFailure            Reason = "script_failure"
	ReasonRunnerSystemFailure      Reason = "runner_system_failure"
	ReasonJobExecutionTimeout      Reason = "job_execution_timeout"
	ReasonStuckOrTimeout           Reason = "stuck_or_timeout_failure"
	ReasonMissingDependency        Reason = "missing_dependency_failure"
	ReasonDownstreamCreationFailed Reason = "downstream_pipeline_creation_failed"
	ReasonUnmetPrerequisites       Reason = "unmet_prerequisites"
	ReasonAPIFailure               Reason = "api_failure"
	ReasonDataIntegrity            Reason = "data_integrity_failure"
	ReasonRunnerUnsupported        Reason = "runner_unsupported"
	ReasonImagePull                Reason = "image_pull_failure"
	ReasonUnknown                  Reason = "unknown_failure"
)

// State is a pipeline's whole state. It is a value: [Graph.Advance] returns a new
// one and never changes the one it gets. The zero State is a pipeline before
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
	// BusyGroups are the resource groups that jobs of this pipeline must not take
	// now: a job of another pipeline has them, or comes first. The caller sets the
	// list before an event; EventRelease removes a group again.
	BusyGroups []string `json:"busy_groups,omitempty"`
}

// EventKind names something that happened to a job or was asked for.
type EventKind string

// The kinds of events. Create is the first event of every pipeline. Whoever runs
// jobs reports Start, Succeed, Drop and Canceled; people ask for Play, Cancel and
// Retry. Enqueue starts a delayed job when its time has come, or a manual job.
const (
	EventCreate   EventKind = "create"
	EventStart    EventKind = "start"    // pending → running
	EventSucceed  EventKind = "success"  // → success; canceling → canceled
	EventDrop     EventKind = "drop"     // → failed, or a new attempt by retry:; canceling → canceled
	EventPlay     EventKind = "play"     // manual or scheduled → pending; a job that has ended: as Retry
	EventEnqueue  EventKind = "enqueue"  // scheduled or manual → pending; after a manual job, skipped jobs stay skipped
	EventCancel   EventKind = "cancel"   // of Job, or of the whole pipeline if Job is empty
	EventCanceled EventKind = "canceled" // canceling → canceled
	EventWait     EventKind = "wait"     // running → manual: a trigger job that mirrors a pipeline that waits for a person
	EventRetry    EventKind = "retry"    // a new attempt of a job that has ended, or of all that failed if Job is empty
	EventRequeue  EventKind = "requeue"  // running → pending, the same attempt: it never began
	EventResume   EventKind = "resume"   // ended or manual → pending, the same attempt: a trigger job whose pipeline was taken up again
	EventRelease  EventKind = "release"  // Group has become free: waiting_for_resource → pending
)

// Event is one thing that happened to a job or to the pipeline.
type Event struct {
	Kind     EventKind `json:"event"`
	Job      string    `json:"job,omitempty"`
	Reason   Reason    `json:"reason,omitempty"`    // Drop
	ExitCode int       `json:"exit_code,omitempty"` // Drop; 0 if there is none
	Group    string    `json:"group,omitempty"`     // Release
}

// Change is one change of a job that [Graph.Advance] decided. The caller acts on
// changes to pending (start the job), scheduled (send Enqueue after StartIn) and
// canceling (stop the job). A new attempt by retry is one change, from running to
// pending.
type Change struct {
	Pos     int    `json:"pos"` // in Pipeline.Jobs
	Job     string `json:"job"`
	From    Status `json:"from"`
	To      Status `json:"to"`
	Attempt int    `json:"attempt,omitempty"`
}
