package pipeline

// Step is what a job reports about its own progress: a JSON line that it appends
// to the file $REFLINE_EVENTS. docs/events.md describes the lines for users.
type Step struct {
	Type    StepType `json:"type"`
	ID      string   `json:"id,omitempty"` // of the task that reports it
	Step    string   `json:"step,omitempty"`
	Status  string   `json:"status,omitempty"` // step_finished: success (default), failed, skipped
	Message string   `json:"message,omitempty"`
	Current float64  `json:"current,omitempty"` // progress
	Total   float64  `json:"total,omitempty"`
	Text    string   `json:"text,omitempty"` // markdown
	Title   string   `json:"title,omitempty"`
	URL     string   `json:"url,omitempty"`     // link
	Path    string   `json:"path,omitempty"`    // artifact
	Columns []string `json:"columns,omitempty"` // table
	Rows    [][]any  `json:"rows,omitempty"`    // table: strings, numbers, booleans and null
}

// StepType names what a [Step] reports.
type StepType string

// The types of steps.
const (
	StepStarted  StepType = "step_started"
	StepFinished StepType = "step_finished"
	StepProgress StepType = "progress"
	StepMarkdown StepType = "markdown"
	StepTable    StepType = "table"
	StepPlan     StepType = "plan"
	StepTask     StepType = "task"  // the state of a task, see [TaskEvent]
	StepTasks    StepType = "tasks" // numbers of tasks by state
	StepLog      StepType = "log"   // a line that a task printed
	StepLink     StepType = "link"
	StepArtifact StepType = "artifact" // a file to keep with the job
)

// Known reports whether t is one of the types above.
func (t StepType) Known() bool {
	switch t {
	case StepStarted, StepFinished, StepProgress, StepMarkdown, StepTable, StepPlan, StepTask, StepTasks, StepLog, StepLink, StepArtifact:
		return true
	default:
		return false
	}
}
