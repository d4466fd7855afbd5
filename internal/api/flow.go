package api

import "time"

// Project is a repository that the server runs pipelines of.
type Project struct {
	ID            int64      `json:"id"`
	Name          string     `json:"name" doc:"unique; data/warehouse"`
	URL           string     `json:"url" doc:"of the repository, without credentials"`
	File          string     `json:"file,omitempty" doc:"pipeline file; empty for .gitlab-ci.yml"`
	Protected     []string   `json:"protected,omitempty" doc:"patterns of branches and tags that get protected variables; empty for the default branch"`
	Key           string     `json:"key,omitempty" doc:"name of the deploy key that reaches the repository"`
	TokenVariable string     `json:"token_variable,omitempty" doc:"name of the variable that holds the token"`
	URLVariable   string     `json:"url_variable,omitempty" doc:"name of the variable that holds the URL"`
	PollSeconds   int64      `json:"poll_seconds,omitempty" doc:"how often the repository is looked at for pushes, if there is no webhook; 0 for never"`
	Created       time.Time  `json:"created"`
	Look          *Look      `json:"look,omitempty" doc:"with one project"`
	Retention     *Retention `json:"retention,omitempty" doc:"with one project; absent: all runs are kept for ever"`
}

// Look is what the server found at a repository last.
type Look struct {
	Looked *time.Time `json:"looked,omitempty" doc:"last time that it answered"`
	Error  string     `json:"error,omitempty" doc:"of the last look"`
	Hook   bool       `json:"hook,omitempty" doc:"a webhook reports changes"`
	Unmade []string   `json:"unmade,omitempty" doc:"pushes whose run could not be made, newest first"`
}

// ProjectInput makes or changes a project. Fields that are absent stay as they are.
type ProjectInput struct {
	Name          *string   `json:"name,omitempty"`
	URL           *string   `json:"url,omitempty"`
	File          *string   `json:"file,omitempty"`
	Protected     *[]string `json:"protected,omitempty"`
	Key           *string   `json:"key,omitempty"`
	TokenVariable *string   `json:"token_variable,omitempty"`
	URLVariable   *string   `json:"url_variable,omitempty"`
	PollSeconds   *int64    `json:"poll_seconds,omitempty" minimum:"0"`
}

// ProjectCheck is whether the server reaches a project's repository.
type ProjectCheck struct {
	URL           string `json:"url"`
	DefaultBranch string `json:"default_branch"`
	Commit        string `json:"commit" doc:"of the default branch"`
	Branches      int    `json:"branches"`
	Tags          int    `json:"tags"`
	Millis        int64  `json:"ms" doc:"how long the question took"`
}

// Flow is a registered definition: a file at a ref of a project.
type Flow struct {
	ID          int64          `json:"id"`
	Project     string         `json:"project"`
	Name        string         `json:"name"`
	Path        string         `json:"path,omitempty" doc:"of the file in the repository; empty for the project's pipeline file"`
	RefKind     string         `json:"ref_kind" enum:"branch,tag,commit,image"`
	Ref         string         `json:"ref"`
	Pinned      string         `json:"pinned,omitempty" doc:"the commit of a tag or commit, the digest of an image, when the flow was registered"`
	FollowTag   bool           `json:"follow_tag,omitempty"`
	Runtime     string         `json:"runtime,omitempty"`
	Inputs      map[string]any `json:"inputs,omitempty"`
	Concurrency int            `json:"concurrency,omitempty" doc:"runs at the same time; 0 for any"`
	WhenBusy    string         `json:"when_busy,omitempty" enum:"queue,skip,cancel-old"`
	Slots       []string       `json:"slots,omitempty"`
	Priority    int            `json:"priority,omitempty"`
	Paused      bool           `json:"paused,omitempty"`
	Archived    *time.Time     `json:"archived,omitempty"`
	Version     int64          `json:"version"`
	Actor       string         `json:"actor,omitempty" doc:"who registered or changed it last"`
	Created     time.Time      `json:"created"`
	Updated     time.Time      `json:"updated"`
	LastRun     *Run           `json:"last_run,omitempty"`
	Storage     *Storage       `json:"storage,omitempty" doc:"with one flow"`
	Schedules   []Schedule     `json:"schedules,omitempty" doc:"with one flow"`
}

// Storage is where a flow's code comes from.
type Storage struct {
	Repository string   `json:"repository"`
	Host       string   `json:"host"`
	Transport  string   `json:"transport" enum:"https,http,ssh,file,registry"`
	Image      string   `json:"image,omitempty" doc:"that has the files, instead of the repository"`
	Digest     string   `json:"digest,omitempty" doc:"of the image when the flow was registered"`
	RefKind    string   `json:"ref_kind"`
	Ref        string   `json:"ref"`
	Commit     string   `json:"commit,omitempty" doc:"of the last run"`
	Path       string   `json:"path"`
	Flow       string   `json:"flow"`
	Depth      int      `json:"depth" doc:"commits of history in a checkout; 0 is all"`
	Submodules string   `json:"submodules"`
	TokenUser  string   `json:"token_user,omitempty"`
	Secrets    []string `json:"secrets,omitempty" doc:"names of the key or variables that reach the repository, never values"`
}

// FlowInput registers a flow.
type FlowInput struct {
	Project     string         `json:"project,omitempty" doc:"its name; or give repository"`
	Repository  string         `json:"repository,omitempty" doc:"URL; a project is made of it if the server has none"`
	Name        string         `json:"name,omitempty" doc:"default: the file's name, with @BRANCH for another branch than the default"`
	Image       string         `json:"image,omitempty" doc:"that refline image build made, instead of a ref: registry.example.com/data/flows:1.4"`
	Path        string         `json:"path,omitempty"`
	RefKind     string         `json:"ref_kind,omitempty" enum:"branch,tag,commit"`
	Ref         string         `json:"ref,omitempty" doc:"default: the default branch"`
	PreferTag   string         `json:"prefer_tag,omitempty" doc:"instead of ref, if the repository has this tag"`
	FollowTag   bool           `json:"follow_tag,omitempty"`
	Runtime     string         `json:"runtime,omitempty"`
	Inputs      map[string]any `json:"inputs,omitempty"`
	Concurrency int            `json:"concurrency,omitempty" minimum:"0" maximum:"1000"`
	WhenBusy    string         `json:"when_busy,omitempty" enum:"queue,skip,cancel-old"`
	Slots       []string       `json:"slots,omitempty"`
	Priority    int            `json:"priority,omitempty" minimum:"-100" maximum:"100"`
	// Schedules, when not nil, become the schedules of the flow: others are removed.
	Schedules *[]ScheduleInput `json:"schedules,omitempty" doc:"become the flow's schedules, others are removed; absent: they stay as they are"`
	DryRun    bool             `json:"dry_run,omitempty" doc:"check and compile, keep nothing"`
}

// FlowChange changes a flow. Fields that are absent stay as they are.
type FlowChange struct {
	Runtime     *string         `json:"runtime,omitempty"`
	Inputs      *map[string]any `json:"inputs,omitempty"`
	Concurrency *int            `json:"concurrency,omitempty" minimum:"0" maximum:"1000"`
	WhenBusy    *string         `json:"when_busy,omitempty" enum:"queue,skip,cancel-old"`
	Slots       *[]string       `json:"slots,omitempty"`
	Priority    *int            `json:"priority,omitempty" minimum:"-100" maximum:"100"`
	FollowTag   *bool           `json:"follow_tag,omitempty"`
	Paused      *bool           `json:"paused,omitempty"`
}

// Registered is the answer to registering a flow.
type Registered struct {
	Flow     Flow      `json:"flow"`
	Commit   string    `json:"commit" doc:"where the ref is now"`
	Jobs     int       `json:"jobs" doc:"of the pipeline there"`
	Created  bool      `json:"created" doc:"there was none of this name"`
	Changes  []Change  `json:"changes,omitempty" doc:"what the registration changed"`
	Findings []Finding `json:"findings,omitempty" doc:"warnings of the configuration"`
}

// Change is a field of a flow before and after.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// FlowVersion is what a flow was once.
type FlowVersion struct {
	Version int64     `json:"version"`
	Actor   string    `json:"actor,omitempty"`
	Created time.Time `json:"created"`
	Changes []Change  `json:"changes,omitempty" doc:"to the version before"`
}

// Runtime is a named configuration of where jobs run.
type Runtime struct {
	Name     string            `json:"name"`
	Executor string            `json:"executor" enum:"process,docker,kubernetes"`
	Image    string            `json:"image,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Tags     []string          `json:"tags,omitempty" doc:"that its runners have"`
	Pull     string            `json:"pull,omitempty" enum:"always,if-not-present,never"`

	Kubernetes *KubernetesRuntime `json:"kubernetes,omitempty" doc:"with the executor kubernetes"`

	Version int64     `json:"version,omitempty"`
	Actor   string    `json:"actor,omitempty"`
	Updated time.Time `json:"updated,omitzero"`
	Flows   []string  `json:"flows,omitempty" doc:"that use it"`
}
