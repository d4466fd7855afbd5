package api

// FlowInputs are what a flow takes at a ref.
type FlowInputs struct {
	RefKind string `json:"ref_kind,omitempty" enum:"branch,tag,commit,image"`
	Ref     string `json:"ref,omitempty"`
	Commit  string `json:"commit,omitempty" doc:"where the ref is"`
	Path    string `json:"path" doc:"of the pipeline file or script"`
	Script  bool   `json:"script,omitempty" doc:"the file is a script"`
	// Inputs are in the order of the file.
	Inputs   []FlowInputField `json:"inputs"`
	Other    bool             `json:"other,omitempty" doc:"it takes inputs that are not declared"`
	Findings []Finding        `json:"findings,omitempty" doc:"what is wrong with the file there, beside inputs without a value"`
}

// FlowInputField is one input that a flow declares.
type FlowInputField struct {
	Name        string   `json:"name"`
	Type        string   `json:"type" enum:"text,integer,number,boolean,date,datetime,list,json,any"`
	Description string   `json:"description,omitempty"`
	Options     []string `json:"options,omitempty" doc:"as text"`
	Ruled       bool     `json:"ruled,omitempty" doc:"other inputs decide which of the options are allowed, and the default"`
	Regex       string   `json:"regex,omitempty" doc:"that a value has to match, not anchored"`
	Min         *float64 `json:"min,omitempty"`
	Max         *float64 `json:"max,omitempty"`
	MinOpen     bool     `json:"min_open,omitempty" doc:"min itself is too small"`
	MaxOpen     bool     `json:"max_open,omitempty" doc:"max itself is too large"`
	Optional    bool     `json:"optional,omitempty" doc:"it may have no value"`
	Required    bool     `json:"required,omitempty" doc:"nothing runs without a value"`
	Default     *string  `json:"default,omitempty" doc:"of the file, as text; absent: none, or one that is not a literal"`
	DefaultCode string   `json:"default_code,omitempty" doc:"the default of a script if it is not a literal"`
	Value       *string  `json:"value,omitempty" doc:"of the flow, which replaces the default, as text"`
}
