package planfile

import (
	"slices"
	"strings"
	"time"

	"refline/internal/diag"
)

// Plan is a change set with everything a reviewer needs, and what a deployment
// needs to execute exactly it.
type Plan struct {
	Version     int           `json:"version"`
	Stack       string        `json:"stack"` // as configured
	Environment string        `json:"environment"`
	Protected   bool          `json:"protected,omitempty"`
	Account     string        `json:"account"`
	Region      string        `json:"region"`
	StackName   string        `json:"stackName"`
	StackID     string        `json:"stackId,omitempty"`
	Type        ChangeSetType `json:"type"`
	// New says that the stack does not exist yet.
	New bool `json:"new,omitempty"`
	// Empty says that there is nothing to do; then there is no change set.
	Empty         bool          `json:"empty,omitempty"`
	ChangeSet     string        `json:"changeSet,omitempty"`
	Configuration Configuration `json:"configuration"`
	Template      Template      `json:"template"`
	// Parameters and Tags are what the stack is given. Secrets are "****":
	// values of NoEcho parameters, and those that came from the environment.
	Parameters   []Pair   `json:"parameters,omitempty"`
	Tags         []Pair   `json:"tags,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	Role         string   `json:"role,omitempty"`
	OnFailure    string   `json:"onFailure,omitempty"`
	// RetainExceptOnCreate deletes resources of a creation that failed, even
	// those whose policy is Retain.
	RetainExceptOnCreate bool        `json:"retainExceptOnCreate,omitempty"`
	After                AfterDeploy `json:"after"`
	Origin               Origin      `json:"origin"`
	Created              time.Time   `json:"created"`
	// Allowed are the ids of stateful resources that may be replaced or
	// removed; Refusals are why this plan may not be deployed.
	Allowed  []string  `json:"allowed,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
	Changes  []Change  `json:"changes"`
	// Digest is over all of the above: see [Plan.Seal].
	Digest string `json:"digest,omitempty"`
}

// Configuration is the file that configures the stack. Digest is over what it
// says of this stack in this environment, not over the file's text.
type Configuration struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
}

// Template is the template of a plan.
type Template struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
	URL    string `json:"url,omitempty"`
}

// AfterDeploy is what a deployment sets once the change set is executed.
type AfterDeploy struct {
	TerminationProtection *bool  `json:"terminationProtection,omitempty"`
	StackPolicy           string `json:"stackPolicy,omitempty"`
}

// Origin says what a plan was made from.
type Origin struct {
	Commit   string `json:"commit,omitempty"`
	Ref      string `json:"ref,omitempty"`
	Tag      bool   `json:"tag,omitempty"`     // Ref is a tag
	Request  bool   `json:"request,omitempty"` // of a merge request: Ref may be a fork's
	Dirty    bool   `json:"dirty,omitempty"`   // the working tree had changes
	Author   string `json:"author,omitempty"`
	Pipeline string `json:"pipeline,omitempty"` // URL or number
}

// Pair is a parameter, tag or output's key and value, in the service's order.
type Pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ChangeSetType says what a change set does to a stack.
type ChangeSetType string

// The types.
const (
	ChangeSetCreate ChangeSetType = "CREATE"
	ChangeSetUpdate ChangeSetType = "UPDATE"
	ChangeSetImport ChangeSetType = "IMPORT"
)

// Effect is what becomes of a resource.
type Effect string

// The effects, the gravest first.
const (
	EffectRemove  Effect = "remove"
	EffectReplace Effect = "replace"
	EffectMaybe   Effect = "maybe" // replaced or changed in place: AWS cannot know yet
	EffectChange  Effect = "change"
	EffectImport  Effect = "import"
	EffectAdd     Effect = "add"
)

// Effects lists all effects, the gravest first.
func Effects() []Effect {
	return []Effect{EffectRemove, EffectReplace, EffectMaybe, EffectChange, EffectImport, EffectAdd}
}

// DataImpact is what happens to the data that a resource holds.
type DataImpact string

// The impacts. The zero value means that the resource stays.
const (
	DataLost     DataImpact = "deleted"
	DataKept     DataImpact = "kept"
	DataSnapshot DataImpact = "snapshot"
)

// Change is what a plan does to one resource.
type Change struct {
	Effect     Effect     `json:"effect"`
	Path       []string   `json:"path,omitempty"` // nested stacks that lead to it
	LogicalID  string     `json:"logicalId"`
	PhysicalID string     `json:"physicalId,omitempty"`
	Type       string     `json:"type"`
	Stateful   bool       `json:"stateful,omitempty"`
	Data       DataImpact `json:"data,omitempty"`
	Drift      string     `json:"drift,omitempty"`
	// BySchema says that the service does not say whether it replaces the
	// resource, and that the schema of its type decided.
	BySchema   bool             `json:"bySchema,omitempty"`
	Properties []PropertyChange `json:"properties,omitempty"`
	Place      *diag.Place      `json:"place,omitempty"`
}

// ID is the logical id with the nested stacks that lead to it:
// "Network/Vpc".
func (c Change) ID() string { return strings.Join(append(slices.Clone(c.Path), c.LogicalID), "/") }

// PropertyChange is one value that changes. Before and After are as AWS gives
// them (long ones are cut by it); an absent one is nil.
type PropertyChange struct {
	Path   string  `json:"path"` // from the resource: Properties/Tags/0/Value
	Before *string `json:"before,omitempty"`
	After  *string `json:"after,omitempty"`
	// Replaces is "always", "maybe" or "".
	Replaces string `json:"replaces,omitempty"`
	// Unknown says that the value is known after the deployment only.
	Unknown bool        `json:"unknown,omitempty"`
	Cause   string      `json:"cause,omitempty"` // "parameter Size", "Vpc", "Vpc.CidrBlock"
	Place   *diag.Place `json:"place,omitempty"`
}

// Refusal is a rule that a plan breaks.
type Refusal struct {
	ID      string `json:"id,omitempty"` // of the change
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Count is the number of changes with an effect, nested stacks themselves not
// counted.
func (p *Plan) Count(e Effect) int {
	n := 0
	for _, c := range p.Changes {
		if c.Effect == e {
			n++
		}
	}
	return n
}

// HasChanges reports whether a deployment would do something.
func (p *Plan) HasChanges() bool { return !p.Empty }
