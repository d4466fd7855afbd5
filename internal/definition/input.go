package definition

import "refline/internal/pythoninputs"

// Input is one thing that a pipeline or script takes.
type Input struct {
	Name        string
	Type        string // text, integer, number, boolean, date, datetime, list, json or any
	Description string
	Options     []string // as text
	Ruled       bool     // other inputs decide which options are allowed, and the default
	Regex       string   // not anchored
	Min, Max    *float64
	MinOpen     bool // Min itself is too small
	MaxOpen     bool
	Optional    bool    // it may have no value
	Required    bool    // nothing runs without a value
	Default     *string // as text; nil for none, or one that is not a literal
	DefaultCode string  // of a script: the default if it is not a literal
}

// Inputs are those that the file declares, in its order.
func (d *Definition) Inputs() []Input {
	var list []Input
	for _, in := range d.script {
		list = append(list, scriptInput(in))
	}
	if d.Result == nil {
		return list
	}
	types := map[string]string{"string": "text", "number": "number", "boolean": "boolean", "array": "list"}
	for _, in := range d.Result.Inputs {
		out := Input{Name: in.Name, Type: types[in.Type], Description: in.Description, Options: in.Options, Ruled: in.Ruled, Regex: in.Regex, Required: !in.HasDefault}
		if in.HasDefault && !in.Ruled {
			out.Default = &in.Default
		}
		list = append(list, out)
	}
	return list
}

// scriptInput is a parameter of a flow function or an option of a script.
func scriptInput(in pythoninputs.Input) Input {
	out := Input{
		Name: in.Name, Type: string(in.Type), Description: in.Help, Options: in.Options, Regex: in.Regex, Min: in.Min, Max: in.Max,
		MinOpen: in.MinOpen, MaxOpen: in.MaxOpen, Optional: in.Optional, Required: in.Needed(), DefaultCode: in.Code,
	}
	if text, ok := in.DefaultText(); ok {
		out.Default = &text
	}
	return out
}
