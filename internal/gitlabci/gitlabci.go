// Package gitlabci compiles GitLab's CI dialect, as YAML or as the same tree
// from Jsonnet, into a [pipeline.Pipeline].
//
// It promises GitLab's semantics, all findings at once with their places, and the
// same result for the same input. It reads files through the [Loader] of its
// input. It does no I/O of its own and does not know how jobs run.
package gitlabci

import (
	"context"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// Input is everything that decides what a pipeline becomes.
type Input struct {
	// Root is the file to compile. Content is its text; nil means that Loader reads
	// it.
	Root    Source
	Content []byte
	Loader  Loader
	// Positions returns the place in Root of the value at a path of keys and
	// indices, for Content that was generated from Root (Jsonnet). Nil when Content
	// is the text of Root.
	Positions func(path []string) (diag.Place, bool)

	// Variables by scope, from low to high precedence as in GitLab. The variables of
	// the files come between Predefined and Instance.
	Predefined []pipeline.Variable // CI_* variables, see [Predefined]
	Instance   []pipeline.Variable
	Group      []pipeline.Variable
	Project    []pipeline.Variable // those for all environments
	Pipeline   []pipeline.Variable // given for this run: --var, trigger, schedule
	// ProjectFor replaces Project for the rules of a job with an environment. Nil
	// means that Project is for all environments.
	ProjectFor func(environment string) []pipeline.Variable

	// Inputs are values for spec:inputs of the root file. A string is read as
	// the input's type ("5" for a number, "[1, 2]" for an array); other types
	// must match it.
	Inputs map[string]any

	// Changed has the changed files, for rules:changes.
	Changed Changed
}

// Changed is the set of files that a push or merge request changes. Without a diff
// (Known is false) every changes rule is true, as on GitLab.
type Changed struct {
	Known bool
	Files []string
	// Load replaces Known and Files. It is called when the first rule needs it, and
	// may be nil.
	Load func() (files []string, known bool, err error)
	// CompareTo returns the files changed since a ref (rules:changes:compare_to), or
	// an error when the ref cannot be resolved. It may be nil.
	CompareTo func(ref string) ([]string, error)
}

// Source identifies a file: one of the compiled project (Project is empty) or of
// another project, or a remote file, a template or a component.
type Source struct {
	Kind      SourceKind
	Project   string // group/project, empty for the one being compiled
	Ref       string // of Project, empty for its default branch
	Path      string // within the project, without a leading slash; or the URL or template's name
	Integrity string // remote: sha256-…
	Version   string // of a component that was found: the tag that ~latest or 1.2 resolved to, empty for a branch or commit
}

// SourceKind is the kind of include that names a file.
type SourceKind string

// The kinds of include.
const (
	SourceLocal     SourceKind = "local" // Project and Ref say in which repository
	SourceRemote    SourceKind = "remote"
	SourceTemplate  SourceKind = "template"
	SourceComponent SourceKind = "component" // Path is host/project/name@version
)

// Loader reads files. Its errors have a kind: NotFound for a missing file,
// Unavailable or Denied for a source that cannot be reached. During one compile
// the same Source has the same content. Read is called concurrently for remote
// files, and otherwise for one file at a time.
type Loader interface {
	// Read returns the content and the resolved Source: a ref becomes a commit, a
	// component its file and Version. Local includes in the file are relative to it.
	Read(ctx context.Context, src Source) (content []byte, found Source, err error)
	// List returns every path of the project of src, sorted, for globs in
	// include:local and for rules:exists. It ignores src.Path.
	List(ctx context.Context, src Source) ([]string, error)
}

// Result is a compiled pipeline, or the reason why there is none.
type Result struct {
	// Pipeline is nil when there are errors or when no pipeline is created.
	Pipeline *pipeline.Pipeline
	// NotCreated is why no pipeline is created although there is no error:
	// workflow:rules, or rules that exclude every job. Empty otherwise.
	NotCreated string
	// NotCreatedAt is the place of the rule behind NotCreated, zero without one.
	NotCreatedAt diag.Place
	Findings     diag.List
	// Inputs are those that the root file declares, in its order.
	Inputs []DeclaredInput
	// Files are the sources that were read, the root first.
	Files []Source
	// Jobs explains each job that is written, in the pipeline or not.
	Jobs []Explanation
	// Workflow is how workflow:rules were decided.
	Workflow []RuleTrace
}

// Explanation says why a job is in the pipeline or not, and where its keys come
// from.
type Explanation struct {
	Job     string        `json:"job"`     // the name as written (the base of a parallel job)
	In      bool          `json:"in"`      // it is in the pipeline
	Allowed bool          `json:"allowed"` // its own rules let it in, also when no pipeline is created
	When    pipeline.When `json:"when,omitempty"`
	Place   diag.Place    `json:"place"`
	Rules   []RuleTrace   `json:"rules,omitempty"`
	Only    string        `json:"only,omitempty"` // how only/except were decided, "" without them
	Keys    []KeyOrigin   `json:"keys,omitempty"`
}

// RuleTrace is one rule and how it was decided.
type RuleTrace struct {
	Place   diag.Place `json:"place"`
	Clauses []Clause   `json:"clauses"` // if, changes, exists; each as written
	Matched bool       `json:"matched"`
	Reached bool       `json:"reached"`          // false for rules after the one that matched
	Result  string     `json:"result,omitempty"` // "when: manual, allow_failure: true"
}

// Clause is one condition of a rule. Values shows it with its variables replaced:
// `"feature/x" == "main"`, with "not set" for an undefined one.
type Clause struct {
	Kind   string `json:"kind"` // if, changes, exists
	Text   string `json:"text"`
	Values string `json:"values,omitempty"`
	True   bool   `json:"true"`
}

// KeyOrigin is where a job's key got its value, and the places it overrode.
type KeyOrigin struct {
	Key    string       `json:"key"`
	Place  diag.Place   `json:"place"`
	Via    string       `json:"via,omitempty"` // "default", "extends .deploy", "!reference [.a, script]"
	Before []diag.Place `json:"before,omitempty"`
}
