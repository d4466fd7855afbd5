// Package gitlabci compiles GitLab's CI dialect, as YAML or as the same tree
// from Jsonnet, into a [pipeline.Pipeline].
//
// It promises GitLab's semantics, all findings together with their places, and
// the same result for the same input. Files come through the [Loader] it is
// given: it has no file system, no network and no git of its own, and it does
// not know how jobs run.
package gitlabci

import (
	"context"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// Input is everything that decides what a pipeline becomes.
type Input struct {
	// Root is the file to compile. Its Content is used when set, else it is
	// read through Loader.
	Root    Source
	Content []byte
	Loader  Loader
	// Positions gives the place in Root of the value at a path of keys and
	// indices, for a Content that was made of it (Jsonnet). Nil when Content is
	// Root's own.
	Positions func(path []string) (diag.Place, bool)

	// Variables by scope, low to high precedence; see GitLab's order. The yaml
	// variables of the files come between Predefined and Instance.
	Predefined []pipeline.Variable // CI_* as far as git and the machine know them
	Instance   []pipeline.Variable
	Group      []pipeline.Variable
	Project    []pipeline.Variable // those for all environments
	Pipeline   []pipeline.Variable // given for this run: --var, trigger, schedule
	// ProjectFor gives what stands in the place of Project for the rules of a job
	// with an environment. Nil when Project is for all of them.
	ProjectFor func(environment string) []pipeline.Variable

	// Inputs are values for spec:inputs of the root file. A string is read as
	// the input's type ("5" for a number, "[1, 2]" for an array); other types
	// must match it.
	Inputs map[string]any

	// Changed holds the paths that differ, for rules:changes. When Known is
	// false there is no diff to look at and every changes rule is true.
	Changed Changed
}

// Changed is the set of files that a push or merge request changes.
type Changed struct {
	Known bool
	Files []string
	// Load finds them out when the first changes rule asks, instead of Known
	// and Files; known is false when there is no diff to look at. May be nil.
	Load func() (files []string, known bool, err error)
	// CompareTo gives the files changed since a ref (rules:changes:compare_to);
	// an error means that the ref cannot be resolved. It may be nil.
	CompareTo func(ref string) ([]string, error)
}

// Source names a file: of the project that is compiled (Project empty) or of
// another one, or a remote, template or component.
type Source struct {
	Kind      SourceKind
	Project   string // group/project, empty for the one being compiled
	Ref       string // of Project, empty for its default branch
	Path      string // within the project, without a leading slash; or the URL or template's name
	Integrity string // remote: sha256-…
	Version   string // only of a component that was found: the tag that ~latest or 1.2 came to, empty for a branch or commit
}

// SourceKind is how an include names its file.
type SourceKind string

// The kinds of include.
const (
	SourceLocal     SourceKind = "local" // Project and Ref say in which repository
	SourceRemote    SourceKind = "remote"
	SourceTemplate  SourceKind = "template"
	SourceComponent SourceKind = "component" // Path is host/project/name@version
)

// Loader gives the contents of files. Errors have a kind: NotFound for a file
// that is not there, Unavailable or Denied for a place that cannot be reached.
// Calls for the same Source give the same bytes during one compile. Read is called
// for several remote files at once, for all else one after the other.
type Loader interface {
	// Read returns the file and the Source it was really found at (a ref
	// resolved to a commit, a component to its file and Version), which is where
	// the local includes inside it are looked for.
	Read(ctx context.Context, src Source) (content []byte, found Source, err error)
	// List gives every path of the project that src belongs to, sorted, for
	// globs in include:local and for rules:exists. src.Path is ignored.
	List(ctx context.Context, src Source) ([]string, error)
}

// Result is a compiled pipeline, or why there is none.
type Result struct {
	// Pipeline is nil when there are errors or when no pipeline is created.
	Pipeline *pipeline.Pipeline
	// NotCreated says why no pipeline is created although nothing is wrong
	// (workflow:rules, no job left); empty else.
	NotCreated string
	// NotCreatedAt is the place of the rule behind NotCreated, zero without one.
	NotCreatedAt diag.Place
	Findings     diag.List
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

// RuleTrace is one rule and what became of it.
type RuleTrace struct {
	Place   diag.Place `json:"place"`
	Clauses []Clause   `json:"clauses"` // if, changes, exists; each as written
	Matched bool       `json:"matched"`
	Reached bool       `json:"reached"`          // false for those after the one that matched
	Result  string     `json:"result,omitempty"` // "when: manual, allow_failure: true"
}

// Clause is one condition of a rule. Values shows it with the variables
// replaced: `"feature/x" == "main"`; names of undefined ones say "not set".
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
