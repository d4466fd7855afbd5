package pipeline

// Variable is a name and its value. Description and Options are for people who
// start a pipeline by hand.
type Variable struct {
	Name        string   `json:"name"`
	Value       string   `json:"value"`
	Description string   `json:"description,omitempty"`
	Options     []string `json:"options,omitempty"`
	Raw         bool     `json:"raw,omitempty"`    // expand: false
	File        bool     `json:"file,omitempty"`   // the job gets the path of a file that contains Value
	Masked      bool     `json:"masked,omitempty"` // never printed
}
