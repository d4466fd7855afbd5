package stack

import (
	"context"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/diag"
)

// Cloud is one account in one region: its stacks, their change sets, and the
// bucket that templates are staged in.
//
// Errors carry a kind of package errs, which is all that callers look at:
//
//   - NotFound: the stack, change set, object or bucket is not there. A
//     ValidationError "Stack with id X does not exist" is NotFound;
//     ChangeSetNotFound and NoSuchKey are too.
//   - Conflict: it is there, but its state forbids the call: InvalidChangeSetStatus,
//     AlreadyExists, a stack in a state that cannot be updated or deleted
//     ("is in … state and can not be …"), termination protection,
//     LimitExceeded, OperationInProgress.
//   - Denied: AccessDenied, expired or missing credentials.
//   - Unavailable: throttling that outlived the client's own retries, a 5xx, a
//     connection that failed. Pollers go on after it.
//   - Invalid: every other ValidationError, with AWS's sentence as the text.
//
// A call whose ctx ends returns an error that errors.Is calls ctx's own. Lists
// are complete: implementations follow the pages. Every method may be called
// from several goroutines.
type Cloud interface {
	// Caller says whose credentials these are (sts:GetCallerIdentity).
	Caller(ctx context.Context) (Caller, error)
	Stacks
	ChangeSets
	Objects
}

// Access says how a Cloud is reached.
type Access struct {
	Region     string
	Profile    string // a profile of the shared configuration, "" for the default chain
	Role       string // ARN of a role to assume with those credentials, or ""
	ExternalID string // for Role
	Session    string // name of the role's session, as in the account's audit log
}

// Open reaches a Cloud. It makes no call that could be avoided; credentials
// that are wrong show at the first method.
type Open func(ctx context.Context, a Access) (Cloud, error)

// Stacks reads stacks and does what needs no change set.
type Stacks interface {
	// Stack describes one stack by name or ARN (DescribeStacks). Deleted stacks
	// are found by ARN only.
	Stack(ctx context.Context, name string) (Stack, error)
	// Resources lists the resources of a stack (ListStackResources).
	Resources(ctx context.Context, stack string) ([]Resource, error)
	// Events lists events newest first (DescribeStackEvents), as far as q says.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// Template is the text of the stack's template as it was submitted
	// (GetTemplate, Original), or of a change set when its ARN is given.
	Template(ctx context.Context, stackOrChangeSet string) (string, error)
	// Validate asks AWS about a template (ValidateTemplate).
	Validate(ctx context.Context, t Source) (Validation, error)
	// Drift starts the detection of drift when detection is "" and gives its
	// id with Done false; with an id it returns how far that detection is, and
	// once Done all drifted resources.
	Drift(ctx context.Context, stack, detection string) (Drift, error)
	// Do changes a stack without a change set.
	Do(ctx context.Context, stack string, a Action) error
}

// ChangeSets makes, reads, executes and deletes change sets. They are named by
// ARN always, but for their creation.
type ChangeSets interface {
	// CreateChangeSet submits and does not wait. The same Token twice is one
	// change set.
	CreateChangeSet(ctx context.Context, in ChangeSetInput) (ChangeSetRef, error)
	// ChangeSet describes one with property values, all pages joined.
	ChangeSet(ctx context.Context, arn string) (ChangeSet, error)
	// ListChangeSets lists those of a stack, without their Changes.
	ListChangeSets(ctx context.Context, stack string) ([]ChangeSet, error)
	// Failures returns the failed events of a change set or of a stack, early
	// validation's among them (DescribeEvents with its ARN and FailedEvents). A
	// service that does not know the operation has none, and that is not an error.
	Failures(ctx context.Context, stackOrChangeSet string) ([]Failure, error)
	// ExecuteChangeSet starts the execution. A change set that is obsolete,
	// failed or executed is a Conflict.
	ExecuteChangeSet(ctx context.Context, arn string, o ExecuteOptions) error
	// DeleteChangeSet deletes one; a missing one is not an error. Called at the
	// root of nested change sets.
	DeleteChangeSet(ctx context.Context, arn string) error
}

// Objects keeps staged templates and the records of who staged them.
type Objects interface {
	// PutObject writes only where nothing is (If-None-Match: *), encrypted by
	// the bucket's key or o.KMSKey. created is false, and err nil, when the key
	// exists.
	PutObject(ctx context.Context, o Object) (created bool, err error)
	// GetObject reads one whole, metadata included.
	GetObject(ctx context.Context, bucket, key string) (Object, error)
	// ListObjects lists keys in ascending order; Body and Metadata are empty.
	ListObjects(ctx context.Context, bucket, prefix string) ([]Object, error)
	// ObjectURL is what CloudFormation takes as TemplateURL (https).
	ObjectURL(bucket, key string) string
}

// Caller is the identity of the credentials.
type Caller struct {
	Account string // twelve digits
	ARN     string
}

// Source is a template: its text (at most 51,200 bytes) or its URL.
type Source struct {
	Body string
	URL  string
}

// Pair and ChangeSetType are the same in a plan file.
type (
	Pair          = planfile.Pair
	ChangeSetType = planfile.ChangeSetType
)

// Parameter is one as it is submitted. UsePrevious keeps the stack's value.
type Parameter struct {
	Key         string `json:"key"`
	Value       string `json:"value,omitempty"`
	UsePrevious bool   `json:"usePrevious,omitempty"`
}

// Status is a status of a stack, resource or change set as the service names
// it: "UPDATE_ROLLBACK_COMPLETE".
type Status string

// Stack is what the service knows of a stack.
type Stack struct {
	ID                    string // ARN
	Name                  string
	Status                Status
	Reason                string
	Description           string
	Created               time.Time
	Updated               time.Time // zero when never
	Deleted               time.Time
	Parameters            []Pair // NoEcho values are "****"
	Tags                  []Pair
	Outputs               []Output
	Capabilities          []string
	Role                  string
	TerminationProtection bool
	DisableRollback       bool
	DriftStatus           string // DRIFTED, IN_SYNC, NOT_CHECKED, UNKNOWN
	ChangeSet             string // ARN of the one that made it, or ""
	Parent, Root          string // ARNs, of nested stacks
}

// Output is a stack's output.
type Output struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
	Export      string `json:"export,omitempty"`
}

// Resource is one of a stack's resources.
type Resource struct {
	LogicalID, PhysicalID, Type string
	Status                      Status
	Reason                      string
	Updated                     time.Time
	DriftStatus                 string
}

// EventQuery says which events: those after the one with the id After (which
// is left out) or all, the newest Limit of them or all (0).
type EventQuery struct {
	Stack string // name or ARN
	After string
	Limit int
}

// Event is one line of a stack's history.
type Event struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	StackID    string    `json:"stackId"`
	StackName  string    `json:"stack"`
	LogicalID  string    `json:"logicalId"`
	PhysicalID string    `json:"physicalId,omitempty"`
	Type       string    `json:"type"`
	Status     Status    `json:"status"`
	Reason     string    `json:"reason,omitempty"`
	Token      string    `json:"token,omitempty"` // ClientRequestToken
}

// Validation is what AWS says of a template.
type Validation struct {
	Description        string              `json:"description,omitempty"`
	Capabilities       []string            `json:"capabilities,omitempty"`
	CapabilitiesReason string              `json:"capabilitiesReason,omitempty"`
	Transforms         []string            `json:"transforms,omitempty"`
	Parameters         []TemplateParameter `json:"parameters,omitempty"`
}

// TemplateParameter is a parameter that a template declares.
type TemplateParameter struct {
	Key         string `json:"key"`
	Default     string `json:"default,omitempty"`
	NoEcho      bool   `json:"noEcho,omitempty"`
	Description string `json:"description,omitempty"`
}

// Drift is a detection of drift and what it found.
type Drift struct {
	Detection string
	Done      bool
	Failed    string // reason when the detection failed
	Status    string // DRIFTED, IN_SYNC, …
	Resources []ResourceDrift
}

// Drifted reports whether a resource was changed by hand.
func (d Drift) Drifted() bool { return d.Status == "DRIFTED" }

// ResourceDrift is a resource that is not as its template says, or (Status
// UNKNOWN) that could not be compared.
type ResourceDrift struct {
	LogicalID, PhysicalID, Type string
	Status                      string // MODIFIED, DELETED, UNKNOWN
	Differences                 []Difference
}

// Difference is a property that drifted. Path is a JSON pointer.
type Difference struct {
	Path             string `json:"path"`
	Kind             string `json:"kind"` // ADD, REMOVE, NOT_EQUAL
	Expected, Actual string
}

// Action is a change without change set; exactly one field is set.
type Action struct {
	Delete           *DeleteStack
	ContinueRollback *ContinueRollback
	// Rollback takes back a deployment that failed and was kept
	// (RollbackStack): from CREATE_FAILED and UPDATE_FAILED.
	Rollback *Rollback
	// CancelUpdate ends an update under way; it is rolled back.
	CancelUpdate bool
	// Protect switches termination protection.
	Protect *bool
	// Policy is the JSON text of a stack policy (SetStackPolicy).
	Policy string
}

// DeleteStack says how a stack is deleted.
type DeleteStack struct {
	Token  string
	Role   string
	Retain []string // logical ids to leave; only from DELETE_FAILED
	Force  bool     // FORCE_DELETE_STACK; only from DELETE_FAILED
}

// Rollback says how a failed deployment is taken back.
type Rollback struct {
	Token                string
	Role                 string
	RetainExceptOnCreate bool
}

// ContinueRollback continues a rollback that failed.
type ContinueRollback struct {
	Token string
	Role  string
	Skip  []string // logical ids
}

// ChangeSetInput is what a change set is made from.
type ChangeSetInput struct {
	Stack         string
	Name          string // a letter, then letters, digits, hyphens; at most 128
	Description   string // at most 1,024 characters
	Type          ChangeSetType
	Template      Source
	UsePrevious   bool // the stack's template instead of Template
	Parameters    []Parameter
	Tags          []Pair
	Capabilities  []string
	Role          string
	Notifications []string // topic ARNs
	ResourceTypes []string
	Nested        bool // IncludeNestedStacks
	Imports       []ImportResource
	// ImportExisting takes in resources that exist under the names in the
	// template, instead of failing at them.
	ImportExisting bool
	// OnFailure is DELETE, DO_NOTHING, ROLLBACK or "" (excludes a
	// DisableRollback at execution).
	OnFailure string
	// RevertDrift asks for DeploymentMode REVERT_DRIFT.
	RevertDrift bool
	Token       string
}

// ExecuteOptions decide how a change set is executed.
type ExecuteOptions struct {
	Token string
	// DisableRollback is sent unless it is nil: a change set with OnFailure
	// excludes it.
	DisableRollback *bool
	// RetainExceptOnCreate deletes what the execution created when it is rolled
	// back, also where DeletionPolicy is Retain.
	RetainExceptOnCreate bool
}

// ImportResource names a resource that exists and is to be imported.
type ImportResource struct {
	LogicalID  string
	Type       string
	Identifier map[string]string
	Place      diag.Place // where somebody wrote it
}

// ChangeSetRef names a change set and its stack, both by ARN.
type ChangeSetRef struct {
	ARN     string
	StackID string
}

// ChangeSet is a change set. Statuses: CREATE_PENDING, CREATE_IN_PROGRESS,
// CREATE_COMPLETE, FAILED, DELETE_…; execution: UNAVAILABLE, AVAILABLE,
// EXECUTE_IN_PROGRESS, EXECUTE_COMPLETE, EXECUTE_FAILED, OBSOLETE.
type ChangeSet struct {
	ARN, Name          string
	StackID, StackName string
	Description        string
	Status, Execution  Status
	Reason             string
	Created            time.Time
	Parent, Root       string // change set ARNs, of nested ones
	Nested             bool
	Parameters         []Pair // NoEcho values are "****"
	Tags               []Pair
	Capabilities       []string
	Changes            []ResourceChange
}

// ResourceChange is one resource of a change set, in the service's words.
type ResourceChange struct {
	Action       string // Add, Modify, Remove, Import, Dynamic, SyncWithActual
	LogicalID    string
	PhysicalID   string
	Type         string
	Replacement  string   // True, False, Conditional or ""
	PolicyAction string   // Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain, ReplaceAndSnapshot or ""
	Scope        []string // Properties, Metadata, Tags, …
	Details      []ChangeDetail
	Before       string // JSON of the resource before (BeforeContext), or ""
	After        string // JSON after, with {{changeSet:KNOWN_AFTER_APPLY}} where the value is not known yet
	ChangeSet    string // ARN of the nested change set, of nested stacks
	DriftStatus  string
}

// ChangeDetail is one attribute that changes and why.
type ChangeDetail struct {
	Attribute          string // Properties, Tags, Metadata, CreationPolicy, …
	Name               string // the property, when Attribute is Properties
	Path               string // JSON pointer in the resource: /Properties/Tags/0/Value
	RequiresRecreation string // Never, Conditionally, Always
	Evaluation         string // Static, Dynamic
	ChangeSource       string // ResourceReference, ParameterReference, ResourceAttribute, DirectModification, Automatic, NoModification
	CausingEntity      string
	AttributeChange    string // Add, Remove, Modify, SyncWithActual or ""
	Before, After      string // may be cut by the service; "" where there is none
}

// Failure is an event that says why a change set failed.
type Failure struct {
	LogicalID, PhysicalID, Type string
	Status                      string
	Reason                      string
	Validation                  string // name of the validation, or ""
	Path                        string // JSON pointer the validation speaks of, or ""
	Mode                        string // FAIL or WARN
	Time                        time.Time
}

// Object is something in a bucket.
type Object struct {
	Bucket, Key string
	Body        []byte
	ContentType string
	Metadata    map[string]string // keys in lower case, values ASCII
	KMSKey      string            // key id or ARN for encryption; "" is the bucket's own (at least AES256)
	Modified    time.Time
	Size        int64
}
