// Package pipeline is the vocabulary of runs (Pipeline, Job, Status, Event) and
// the pure rules over it: what may start, and what becomes of a run.
//
// It promises that the same values in give the same values out. It knows no
// clock, no file, no process and no dialect: a compiler fills a [Pipeline], an
// engine or a server keeps a [State], and both ask [Graph.Advance] what happens next.
package pipeline

import (
	"refline/internal/diag"
	"refline/internal/errs"
)

// Value is a value as it is written in a definition, in its JSON form: nil, a bool,
// a string, a number, a []any or a map[string]any of values.
type Value = any

// Pipeline is a compiled definition: a graph of jobs, ready to run.
type Pipeline struct {
	Name       string     `json:"name,omitempty"`      // workflow:name, expanded
	Stages     []string   `json:"stages"`              // in order, .pre first and .post last; those with jobs only
	Jobs       []Job      `json:"jobs"`                // by stage, then as written
	Variables  []Variable `json:"variables,omitempty"` // top-level, after workflow:rules
	AutoCancel AutoCancel `json:"auto_cancel,omitzero"`
}

// Job finds a job by its full name; nil when there is none.
func (p *Pipeline) Job(name string) *Job {
	for i := range p.Jobs {
		if p.Jobs[i].Name == name {
			return &p.Jobs[i]
		}
	}
	return nil
}

// Named returns the full names of the jobs that a name means: the job of that
// name, and all instances of a parallel job with it as base name.
func (p *Pipeline) Named(name string) []string {
	var names []string
	for i := range p.Jobs {
		if p.Jobs[i].Name == name || p.Jobs[i].Base == name {
			names = append(names, p.Jobs[i].Name)
		}
	}
	return names
}

// AutoCancel says when work that is superseded may be stopped.
type AutoCancel struct {
	OnNewCommit  string `json:"on_new_commit,omitempty"`  // conservative (default), interruptible, none
	OnJobFailure string `json:"on_job_failure,omitempty"` // none (default), all
}

// When says what has to be true of the jobs before, for a job to start.
type When string

// The values of when.
const (
	WhenOnSuccess When = "on_success"
	WhenOnFailure When = "on_failure"
	WhenAlways    When = "always"
	WhenManual    When = "manual"
	WhenDelayed   When = "delayed"
	WhenNever     When = "never" // only inside a compiler: such a job is not in a pipeline
)

// Job is one node. All of it is decided: rules are evaluated, defaults and
// extends applied, a matrix unrolled. Strings may still hold $VARIABLES where
// GitLab expands them at run time (image, services, artifact paths, …).
type Job struct {
	Name  string `json:"name"`            // "test: [1.26]", unique in the pipeline
	Base  string `json:"base,omitempty"`  // "test", the name as written
	Index int    `json:"index,omitempty"` // 1… among the instances of Base, 0 when not parallel
	Total int    `json:"total,omitempty"`
	Stage string `json:"stage"`

	When               When     `json:"when"`
	StartIn            Duration `json:"start_in,omitempty"` // Delayed only
	ManualConfirmation string   `json:"manual_confirmation,omitempty"`
	AllowFailure       bool     `json:"allow_failure"`
	AllowFailureCodes  []int    `json:"allow_failure_exit_codes,omitempty"` // allowed for these only; AllowFailure is false then
	Retry              Retry    `json:"retry,omitzero"`
	Timeout            Duration `json:"timeout,omitempty"` // 0: the engine's default
	Interruptible      bool     `json:"interruptible,omitempty"`
	ResourceGroup      string   `json:"resource_group,omitempty"` // may hold variables
	Tags               []string `json:"tags,omitempty"`

	DAG          bool      `json:"dag,omitempty"` // has needs (an empty list too): does not wait for stages
	Needs        []Need    `json:"needs,omitempty"`
	Dependencies *[]string `json:"dependencies,omitempty"` // nil: not written; jobs whose artifacts are taken

	Image     *Image     `json:"image,omitempty"`
	Services  []Service  `json:"services,omitempty"`
	Variables []Variable `json:"variables,omitempty"` // top-level, job, matrix and rules, merged; in order of definition

	PreGetSources []string   `json:"pre_get_sources_script,omitempty"` // hooks:pre_get_sources_script
	BeforeScript  []string   `json:"before_script,omitempty"`
	Script        []string   `json:"script,omitempty"`
	AfterScript   []string   `json:"after_script,omitempty"`
	Run           []RunEntry `json:"run,omitempty"` // run: steps, instead of the scripts
	// Python is the path of the Python script that the job runs. What the script
	// declares to need is installed before.
	Python   string `json:"python,omitempty"`
	Coverage string `json:"coverage,omitempty"` // the regular expression without its slashes

	Artifacts   *Artifacts   `json:"artifacts,omitempty"`
	Caches      []Cache      `json:"cache,omitempty"`
	Environment *Environment `json:"environment,omitempty"`
	Downstream  *Downstream  `json:"trigger,omitempty"` // a bridge: no script of its own
	Release     *Release     `json:"release,omitempty"`
	Pages       *Pages       `json:"pages,omitempty"`
	Secrets     []Secret     `json:"secrets,omitempty"`
	IDTokens    []IDToken    `json:"id_tokens,omitempty"`
	Identity    string       `json:"identity,omitempty"`

	Origin diag.Place `json:"origin,omitzero"` // where the job is written
}

// Need is an edge to an earlier job. Job is a full name in the same pipeline
// (a compiler has unrolled parallel jobs and dropped missing optional needs),
// unless Project or Pipeline is set: then only artifacts are wanted.
type Need struct {
	Job       string `json:"job"`
	Artifacts bool   `json:"artifacts"`
	Optional  bool   `json:"optional,omitempty"`
	Project   string `json:"project,omitempty"`
	Ref       string `json:"ref,omitempty"`
	Pipeline  string `json:"pipeline,omitempty"` // an id, or the parent's $PARENT_PIPELINE_ID
}

// Retry says how often and after what a failed job is tried again.
type Retry struct {
	Max       int      `json:"max,omitempty"`        // 0–2
	When      []string `json:"when,omitempty"`       // failure reasons; "always" for all
	ExitCodes []int    `json:"exit_codes,omitempty"` // ORed with When
}

// Image is a runtime's picture. Name is empty when none is asked for.
type Image struct {
	Name       string   `json:"name"`
	Entrypoint []string `json:"entrypoint,omitempty"`  // nil: the image's; an empty string clears it
	PullPolicy []string `json:"pull_policy,omitempty"` // always, if-not-present, never; tried in order
	Platform   string   `json:"platform,omitempty"`
	User       string   `json:"user,omitempty"`
}

// Service is a container beside the job's own.
type Service struct {
	Image
	Aliases   []string   `json:"aliases,omitempty"`
	Command   []string   `json:"command,omitempty"`
	Variables []Variable `json:"variables,omitempty"`
}

// Artifacts says what is kept of a job's workspace.
type Artifacts struct {
	Name      string              `json:"name,omitempty"`
	Paths     []string            `json:"paths,omitempty"`
	Exclude   []string            `json:"exclude,omitempty"`
	Untracked bool                `json:"untracked,omitempty"`
	When      When                `json:"when,omitempty"` // on_success (default), on_failure, always
	ExpireIn  string              `json:"expire_in,omitempty"`
	ExposeAs  string              `json:"expose_as,omitempty"`
	Public    *bool               `json:"public,omitempty"`
	Access    string              `json:"access,omitempty"`
	Reports   map[string][]string `json:"reports,omitempty"` // kind → paths; dotenv is read by the engine

	CoverageFormat string `json:"coverage_format,omitempty"` // of the report coverage_report: cobertura, jacoco
}

// Cache is a folder of things kept between runs.
type Cache struct {
	Key          CacheKey `json:"key"`
	FallbackKeys []string `json:"fallback_keys,omitempty"`
	Paths        []string `json:"paths,omitempty"`
	Untracked    bool     `json:"untracked,omitempty"`
	Unprotect    bool     `json:"unprotect,omitempty"`
	When         When     `json:"when,omitempty"`   // on_success (default), on_failure, always
	Policy       string   `json:"policy,omitempty"` // pull-push (default), pull, push; may be a variable
}

// CacheKey is a text, or what identifies the content of files.
type CacheKey struct {
	Text        string   `json:"text,omitempty"` // "default" when nothing is written
	Files       []string `json:"files,omitempty"`
	FilesCommit bool     `json:"files_commits,omitempty"` // key:files_commits: by the commits that last changed them
	Prefix      string   `json:"prefix,omitempty"`
}

// Environment is where a job deploys to.
type Environment struct {
	Name           string `json:"name"` // may hold variables
	URL            string `json:"url,omitempty"`
	OnStop         string `json:"on_stop,omitempty"`
	Action         string `json:"action,omitempty"` // start (default), prepare, stop, verify, access
	AutoStopIn     string `json:"auto_stop_in,omitempty"`
	DeploymentTier string `json:"deployment_tier,omitempty"`
	Kubernetes     Value  `json:"kubernetes,omitempty"`
}

// Downstream makes a job start another pipeline.
type Downstream struct {
	Include  []DownstreamInclude `json:"include,omitempty"` // a child pipeline of these files
	Project  string              `json:"project,omitempty"` // another project's
	Branch   string              `json:"branch,omitempty"`
	Strategy string              `json:"strategy,omitempty"` // "", depend, mirror
	Forward  Forward             `json:"forward"`
	Inputs   map[string]Value    `json:"inputs,omitempty"`
}

// DownstreamInclude is one file of a child pipeline.
type DownstreamInclude struct {
	Local     string           `json:"local,omitempty"`
	Artifact  string           `json:"artifact,omitempty"` // a path in the artifacts of Job
	Job       string           `json:"job,omitempty"`
	Project   string           `json:"project,omitempty"`
	Ref       string           `json:"ref,omitempty"`
	File      string           `json:"file,omitempty"`
	Template  string           `json:"template,omitempty"`
	Remote    string           `json:"remote,omitempty"`
	Component string           `json:"component,omitempty"`
	Inputs    map[string]Value `json:"inputs,omitempty"`
}

// Forward says which variables a downstream pipeline gets.
type Forward struct {
	YAMLVariables     bool `json:"yaml_variables"` // default true
	PipelineVariables bool `json:"pipeline_variables"`
}

// Release describes what release: would make on a server.
type Release struct {
	TagName     string   `json:"tag_name"`
	TagMessage  string   `json:"tag_message,omitempty"`
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description"`
	Ref         string   `json:"ref,omitempty"`
	Milestones  []string `json:"milestones,omitempty"`
	ReleasedAt  string   `json:"released_at,omitempty"`
	Assets      Value    `json:"assets,omitempty"`
}

// Pages is a site that a job publishes.
type Pages struct {
	Publish    string `json:"publish,omitempty"` // default public
	PathPrefix string `json:"path_prefix,omitempty"`
	ExpireIn   string `json:"expire_in,omitempty"`
}

// Secret names a value kept by a secret store.
type Secret struct {
	Name   string `json:"name"`   // the variable
	Source Value  `json:"source"` // vault, azure_key_vault, …, as written
	File   bool   `json:"file"`   // default true
	Token  string `json:"token,omitempty"`
}

// IDToken is a token that a server signs for a job.
type IDToken struct {
	Name string   `json:"name"`
	Aud  []string `json:"aud"`
}

// RunEntry is one entry of run:.
type RunEntry struct {
	Name   string            `json:"name"`
	Step   string            `json:"step,omitempty"`
	Func   string            `json:"func,omitempty"`
	Script string            `json:"script,omitempty"`
	Inputs map[string]Value  `json:"inputs,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
}

// ErrNotInPipeline is the kind of error for a job name that a pipeline lacks.
func ErrNotInPipeline(job string) error {
	return errs.E(errs.NotFound, "no job %q in this pipeline", job)
}
