package api

import (
	"encoding/json"
	"slices"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// RunnerProtocol is the version of the runner protocol that this program speaks.
// It also speaks the version before.
const RunnerProtocol = 1

// RunnerPath is where a server serves the runner protocol.
const RunnerPath = "/runner/v1"

// HeaderSession carries the session of a runner with each call about an attempt.
const HeaderSession = "Refline-Session"

// Limits of one request. What is larger is sent in several.
const (
	MaxLogChunk   = 1 << 20  // bytes of PATCH log, unpacked
	MaxLogTail    = 64 << 10 // bytes of the log that a result carries
	MaxEventChunk = 1 << 20  // bytes of POST events, unpacked; a longer line is dropped
	MaxEvents     = 100_000  // of one attempt; a server drops further ones
	MaxRunnerBody = 8 << 20  // any other request
	MaxRunnerJob  = 64 << 20 // answer to POST job
)

// AgreeProtocol returns the version that two programs speak with each other: the
// lower one, if they are at most one apart. Otherwise the error says which of them
// to update.
func AgreeProtocol(runner, server int) (int, error) {
	switch {
	case runner < 1:
		return 0, errs.E(errs.Invalid, "the runner names no protocol version")
	case runner < server-1:
		return 0, errs.E(errs.Invalid, "the runner speaks protocol %d, the server %d and %d: update the runner to the server's version", runner, server-1, server)
	case runner > server+1:
		return 0, errs.E(errs.Invalid, "the runner speaks protocol %d and %d, the server %d: update the server, or use a runner of the server's version", runner-1, runner, server)
	}
	return min(runner, server), nil
}

// RunnerSessionRequest opens the session of a runner: POST sessions.
type RunnerSessionRequest struct {
	Protocol  int      `json:"protocol"`
	Name      string   `json:"name"`                // for people, such as the name of the computer
	Version   string   `json:"version,omitempty"`   // of the program
	System    string   `json:"system,omitempty"`    // linux/amd64
	Tags      []string `json:"tags,omitempty"`      // none: all of its token
	Executors []string `json:"executors,omitempty"` // by name
	Slots     int      `json:"slots"`               // jobs at the same time
	// Resume is the session that the runner had before it was restarted, and Have
	// what it knows of that session's attempts. The server ends those that it does
	// not know.
	Resume int64     `json:"resume,omitempty"`
	Have   []HeldJob `json:"have,omitempty"`
}

// RunnerSession is a lease: as long as the runner polls, its attempts are its own.
type RunnerSession struct {
	Session  int64    `json:"session"`
	Protocol int      `json:"protocol"`
	Lease    int      `json:"lease_s"`           // seconds without a poll until the session ends
	Resumed  bool     `json:"resumed,omitempty"` // the session is the one that was asked for
	Runner   int64    `json:"runner"`
	Name     string   `json:"name,omitempty"` // of the runner, as the server knows it
	Tags     []string `json:"tags,omitempty"`
}

// JobPhase is how far a runner is with an attempt.
type JobPhase string

// The phases.
const (
	PhaseAccepted  JobPhase = "accepted"  // nothing of it has started
	PhaseRunning   JobPhase = "running"   // its script may run
	PhaseFinishing JobPhase = "finishing" // it has a result, which is being sent
)

// HeldJob is an attempt that a runner has.
type HeldJob struct {
	Fence int64    `json:"fence"`
	Phase JobPhase `json:"phase,omitempty"`
	// Stopping says that the runner knows that it is to end.
	Stopping bool `json:"stopping,omitempty"`
}

// PollRequest says what a runner has: POST poll. The server answers when there is
// something to do, at the latest after 20 seconds.
type PollRequest struct {
	Session int64     `json:"session"`
	Free    int       `json:"free"` // jobs that it would take now
	Have    []HeldJob `json:"have,omitempty"`
	// HoldMS bounds how long the server holds the poll; 0 is the server's choice.
	HoldMS int `json:"hold_ms,omitempty"`
}

// PollAnswer says what the runner should have. It may hold what was said before:
// jobs that the runner has, attempts that it has given up.
type PollAnswer struct {
	Jobs   []OfferedJob     `json:"jobs,omitempty"`
	Cancel []int64          `json:"cancel,omitempty"` // stop these gracefully and report
	Gone   []int64          `json:"gone,omitempty"`   // end these: another result counts
	Drain  bool             `json:"drain,omitempty"`
	Warm   []WarmRepository `json:"warm,omitempty"` // prepare checkouts of these
}

// OfferedJob is an attempt for the runner. It is the runner's until its session ends.
type OfferedJob struct {
	Fence int64 `json:"fence"`
	Run   int64 `json:"run"`
}

// WarmRepository is a commit of a repository that jobs are expected of.
type WarmRepository struct {
	URL    string `json:"url"`
	Commit string `json:"commit"`
}

// JobSpec is all that a runner needs to run one attempt: the answer to POST
// attempts/FENCE/job, and the only message with secrets.
type JobSpec struct {
	Fence   int64         `json:"fence"` // CI_JOB_ID
	Run     int64         `json:"run"`
	Attempt int           `json:"attempt"`
	Project string        `json:"project"` // whose caches and repository
	Job     *pipeline.Job `json:"job"`

	Variables JobVariables `json:"variables"`
	Secrets   []JobSecret  `json:"secrets,omitempty"` // masked beside the variables that say so
	Environ   []string     `json:"environ,omitempty"` // KEY=value that a job on the host inherits too

	Source *JobSource `json:"source,omitempty"` // nil: the job starts from an empty folder
	// ImageSource is a folder of the job's image that its files are copied from,
	// instead of Source.
	ImageSource string          `json:"image_source,omitempty"`
	Agent       *JobCredentials `json:"agent,omitempty"` // what the job logs in with; it never holds them

	Take      []string `json:"take,omitempty"`      // keys of artifacts, in order
	Keep      string   `json:"keep,omitempty"`      // the key of this attempt's artifacts
	Protected bool     `json:"protected,omitempty"` // its ref is: caches of others are apart
	// Results of the job's tasks: the key that this attempt's get, and that of an earlier
	// attempt's to start from.
	KeepResults string `json:"keep_results,omitempty"`
	TakeResults string `json:"take_results,omitempty"`
	KeepCaches  bool   `json:"keep_caches,omitempty"` // the server keeps caches, else the runner does

	Runtime  JobRuntime        `json:"runtime,omitzero"`
	Timeout  pipeline.Duration `json:"timeout,omitempty"`   // of a job that has none
	LogLimit int64             `json:"log_limit,omitempty"` // bytes; 0: the runner's default
}

// MaskedValues lists every value of the job that its output must not show: secrets by
// name, masked variables, and what it logs in with.
func (s *JobSpec) MaskedValues() []JobSecret {
	list := slices.Clone(s.Secrets)
	for _, v := range s.MergedVariables() {
		if v.Masked {
			list = append(list, JobSecret{Name: v.Name, Value: v.Value})
		}
	}
	var from []JobCredentials
	if s.Source != nil {
		from = append(from, s.Source.Access)
	}
	if s.Agent != nil {
		from = append(from, *s.Agent)
	}
	for _, c := range from {
		for _, l := range c.Logins {
			list = append(list, JobSecret{Name: "token for " + l.Host, Value: l.Token})
		}
		for _, k := range c.Keys {
			list = append(list, JobSecret{Name: k.Name, Value: k.Key})
		}
	}
	return slices.DeleteFunc(list, func(s JobSecret) bool { return s.Value == "" })
}

// MergedVariables are the variables that the job sees, those of its runtime first.
func (s *JobSpec) MergedVariables() []pipeline.Variable {
	if s.Job == nil {
		return s.Runtime.Env
	}
	return pipeline.Merge(s.Runtime.Env, pipeline.JobVariables(s.Job, s.Variables.Below, s.Variables.Dotenv, s.Variables.Above))
}

// JobVariables are the variables around those of the job itself, as
// pipeline.JobVariables takes them.
type JobVariables struct {
	Below  []pipeline.Variable `json:"below,omitempty"`
	Dotenv []pipeline.Variable `json:"dotenv,omitempty"`
	Above  []pipeline.Variable `json:"above,omitempty"`
}

// JobSecret is a value that no log may show.
type JobSecret struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// JobSource is the commit that a job starts from.
type JobSource struct {
	URL    string `json:"url"`
	Shown  string `json:"shown,omitempty"`  // is printed and stored in place of the URL, which is a secret
	Kind   string `json:"kind"`             // branch, tag, commit
	Ref    string `json:"ref,omitempty"`    // name of the branch or tag
	Commit string `json:"commit"`           // whole object name
	Object string `json:"object,omitempty"` // of an annotated tag
	Before string `json:"before,omitempty"` // the commit before a push, to compare with

	Depth      int      `json:"depth,omitempty"`      // 0: all of the history
	Submodules string   `json:"submodules,omitempty"` // "", normal, recursive
	LFS        bool     `json:"lfs,omitempty"`        // if the runner has git-lfs
	Sparse     []string `json:"sparse,omitempty"`
	NoFiles    bool     `json:"no_files,omitempty"` // only .git: GIT_CHECKOUT=false

	SubmodulePaths string `json:"submodule_paths,omitempty"` // as GIT_SUBMODULE_PATHS
	ForceHTTPS     bool   `json:"force_https,omitempty"`     // submodules of the project's server come by https

	Access JobCredentials `json:"access,omitzero"`
	CA     string         `json:"ca,omitempty"` // certificates of a private authority, PEM
}

// JobCredentials log in to repositories.
type JobCredentials struct {
	Logins []JobLogin `json:"logins,omitempty"`
	Keys   []JobKey   `json:"keys,omitempty"`
}

// JobLogin is a user name and a token for https.
type JobLogin struct {
	Host  string `json:"host"` // HOST or HOST:PORT
	User  string `json:"user,omitempty"`
	Token string `json:"token"`
}

// JobKey is a private key with the hosts that it is for.
type JobKey struct {
	Name       string   `json:"name"`
	Key        string   `json:"key"`
	KnownHosts string   `json:"known_hosts"` // lines of known_hosts
	Hosts      []string `json:"hosts,omitempty"`
	Repos      []string `json:"repos,omitempty"`
}

// JobRuntime says where a job runs if the job does not.
type JobRuntime struct {
	Name     string              `json:"name,omitempty"`
	Executor string              `json:"executor,omitempty"` // "": by the job, a container if it has an image
	Images   []string            `json:"images,omitempty"`   // patterns of the images that jobs may name themselves; none: only the runtime's with kubernetes
	Image    string              `json:"image,omitempty"`
	Pull     []string            `json:"pull,omitempty"` // always, if-not-present, never; tried in order
	Env      []pipeline.Variable `json:"env,omitempty"`
}

// FinishRequest ends an attempt: POST attempts/FENCE/finish. It is answered as a
// poll, with the runner's next jobs.
type FinishRequest struct {
	Result JobResult   `json:"result"`
	Log    LogTail     `json:"log"`
	Poll   PollRequest `json:"poll"`
}

// LogTail are the last bytes of a log.
type LogTail struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data,omitempty"`
	Clear  bool   `json:"clear,omitempty"` // what the server has is thrown away
}

// JobResult is what became of an attempt.
type JobResult struct {
	Status    pipeline.Status     `json:"status"` // success, failed, canceled
	Reason    pipeline.Reason     `json:"reason,omitempty"`
	ExitCode  int                 `json:"exit_code,omitempty"`
	Coverage  *float64            `json:"coverage,omitempty"`
	Dotenv    []pipeline.Variable `json:"dotenv,omitempty"`
	Artifacts bool                `json:"artifacts,omitempty"` // the attempt's key keeps some
	LogBytes  int64               `json:"log_bytes,omitempty"`
	LogCut    bool                `json:"log_cut,omitempty"`     // the log reached its limit
	LogClear  bool                `json:"log_cleared,omitempty"` // it could not be shown to hold no secret
	Error     *JobError           `json:"error,omitempty"`       // what was in the way of running the job
}

// JobError is an error of a runner, masked.
type JobError struct {
	Kind errs.Kind `json:"kind"`
	Text string    `json:"text"`
}

// LogAnswer says how long the server's log is.
type LogAnswer struct {
	Offset  int64 `json:"offset"`
	Durable int64 `json:"durable"` // bytes that a crash of the server does not lose
}

// EventsAnswer names the number of the event that the server expects next.
type EventsAnswer struct {
	Seq int64 `json:"seq"`
}

// JobEvent is one line of POST attempts/FENCE/events: a step of the job, or a note
// about it.
type JobEvent struct {
	Kind pipeline.ReportKind `json:"event"` // step, job_note
	Time int64               `json:"time"`  // Unix milliseconds
	Step json.RawMessage     `json:"step,omitempty"`
	Text string              `json:"text,omitempty"`
}

// Codes of a [RunnerProblem] that a runner acts on.
const (
	CodeLostLease = "lost_lease" // the attempt is not the runner's: end it
	CodeGap       = "gap"        // bytes or events are missing: go on at Next
	CodeSession   = "session"    // the session has ended: open another
)

// RunnerProblem is the body of an answer that is an error.
type RunnerProblem struct {
	Kind   errs.Kind `json:"kind"`
	Detail string    `json:"detail"`
	Code   string    `json:"code,omitempty"`
	Next   int64     `json:"next,omitempty"` // where to go on after a gap
}

func (p *RunnerProblem) Error() string { return p.Detail }
