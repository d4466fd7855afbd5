package pipeline

// Variable is a name and its value. Description and Options matter to people
// who start a pipeline by hand only.
type Variable struct {
	Name        string   `json:"name"`
	Value       string   `json:"value"`
	Description string   `json:"description,omitempty"`
	Options     []string `json:"options,omitempty"`
	Raw         bool     `json:"raw,omitempty"`    // expand: false
	File        bool     `json:"file,omitempty"`   // the job sees the path of a file that holds Value
	Masked      bool     `json:"masked,omitempty"` // never printed
}
