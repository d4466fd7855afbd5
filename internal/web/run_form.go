package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// inputPrefix comes before the name of an input in the form, boxPrefix before that of
// an input whose box was shown: a browser does not send a box without its tick.
const (
	inputPrefix = "in."
	boxPrefix   = "box."
)

// runForm starts a run of a flow. Its fields are the inputs that the flow takes at a
// ref.
type runForm struct {
	Path, Show string // where it is sent, and where it is shown for another ref
	Flow       string
	Usual      string // the flow's own ref
	Ref        string // as typed
	RefError   string
	RefFixed   bool   // the flow is in an image, which has one commit
	At         string // where Fields were read
	Unread     string // why Fields are not known
	Fields     []inputField
	Other      bool // it takes inputs that are not declared
	OtherText  string
	OtherError string
	Variables  string
	JSON       string
	JSONError  string
	From       int64 // run that it was filled from
	FromPath   string
	Findings   []api.Finding // of the file at the ref
	Command    string
	Base       string // the command without inputs, for the script
	RefOption  string // of the command, for the script
}

// fill makes the form of a flow with what was typed, the values of an earlier run or
// what a run has without any.
func (c *request) fill(f *runForm, flow api.Flow) error {
	f.Ref = strings.TrimSpace(c.FormValue("ref"))
	f.RefFixed = flow.RefKind == "image"
	values := map[string]string{}
	if err := c.fillFrom(f, flow, values); err != nil {
		return err
	}
	f.JSONError = c.formValues(values)
	in, err := c.API.FlowInputs(c.ctx(), flow.Project, flow.Name, "", f.Ref)
	switch {
	case err == nil:
	case f.Ref != "" && (errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid)):
		f.RefError = err.Error()
	default:
		f.Unread = err.Error()
	}
	if err != nil {
		in.Other = true
	} else {
		f.At = strings.TrimSpace(refText(in.RefKind, in.Ref) + " " + shortCommit(in.Commit))
		if in.RefKind == "commit" {
			f.At = "commit " + shortCommit(in.Commit)
		}
	}
	f.Findings, f.Other = in.Findings, in.Other
	wrong := c.inputErrors()
	for _, declared := range in.Inputs {
		f.Fields = append(f.Fields, newInputField(declared, values, wrong[declared.Name]))
		delete(wrong, declared.Name)
	}
	f.addOthers(values, in.Inputs)
	c.leaveOut(f.Fields)
	f.Base = command("flow", "run", flow.Name, "--project", flow.Project)
	f.RefOption = refOption(f.Ref, in)
	f.Command = f.command()
	return nil
}

// formValues adds the inputs of the address or of the sent form, as text. It returns what
// is wrong with those in JSON.
func (c *request) formValues(values map[string]string) string {
	for name, list := range c.Form {
		if input, ok := strings.CutPrefix(name, inputPrefix); ok && len(list) > 0 {
			values[input] = strings.ReplaceAll(list[0], "\r\n", "\n") // as browsers send the ends of lines
		}
		if input, ok := strings.CutPrefix(name, boxPrefix); ok && !c.Form.Has(inputPrefix+input) {
			values[input] = "false"
		}
	}
	given, err := jsonInputs(c.FormValue("json"))
	if err != nil {
		return err.Error()
	}
	maps.Copy(values, given)
	return ""
}

// fillFrom takes the ref, inputs and variables of the run that the address names. If the
// form was sent, what was typed counts.
func (c *request) fillFrom(f *runForm, flow api.Flow, values map[string]string) error {
	f.OtherText, f.Variables, f.JSON = c.FormValue("others"), c.FormValue("variables"), c.FormValue("json")
	from := c.FormValue("from")
	if from == "" {
		return nil
	}
	id, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return invalid("from=%s is not the id of a run", from)
	}
	d, err := c.API.RunDetail(c.ctx(), id)
	if err != nil {
		return err
	}
	if d.Run.Project != flow.Project || d.Run.Flow != flow.Name {
		return invalid("run %d is not one of flow %s", id, flow.Name)
	}
	f.From, f.FromPath = id, runPath(id)
	if c.sent() {
		return nil
	}
	for name, value := range d.Inputs {
		values[name] = pipeline.InputText(value)
	}
	for _, name := range sortedKeys(d.Variables) {
		f.Variables += name + "=" + d.Variables[name] + "\n"
	}
	usual := d.Source.RefKind == flow.RefKind && d.Run.Ref == flow.Ref
	if !usual && !f.RefFixed {
		f.Ref = cmp.Or(d.Run.Ref, d.Run.Commit)
	}
	return nil
}

// sent reports whether the request has what was typed into the form.
func (c *request) sent() bool { return c.Form.Has("sent") }

// addOthers shows values of inputs that have no field as lines.
func (f *runForm) addOthers(values map[string]string, declared []api.FlowInputField) {
	if !f.Other {
		return
	}
	for _, name := range sortedKeys(values) {
		known := slices.ContainsFunc(declared, func(d api.FlowInputField) bool { return d.Name == name })
		if !known && values[name] != "" && !strings.Contains(values[name], "\n") && !strings.Contains("\n"+f.OtherText, "\n"+name+"=") {
			if f.OtherText != "" && !strings.HasSuffix(f.OtherText, "\n") {
				f.OtherText += "\n"
			}
			f.OtherText += name + "=" + values[name] + "\n"
		}
	}
}

// inputErrors are the findings of a failed run by the input that they are about.
func (c *request) inputErrors() map[string]string {
	wrong := map[string]string{}
	for _, f := range findingsOf(c.problem) {
		if name, ok := strings.CutPrefix(f.Subject, pipeline.InputSubject("")); ok {
			text := f.Message
			if f.Hint != "" {
				text += "; " + f.Hint
			}
			wrong[name] = cmp.Or(wrong[name], text)
		}
	}
	return wrong
}

// leaveOut takes errors that are shown beside fields out of the problem of the page.
func (c *request) leaveOut(fields []inputField) {
	beside := 0
	for _, f := range fields {
		if f.Error != "" {
			beside++
		}
	}
	if beside == 0 {
		return
	}
	var rest diag.List
	for _, f := range findingsOf(c.problem) {
		name, ok := strings.CutPrefix(f.Subject, pipeline.InputSubject(""))
		if ok && slices.ContainsFunc(fields, func(i inputField) bool { return i.Input == name }) || f.Level != diag.Error {
			continue
		}
		rest = append(rest, f)
	}
	c.problem = rest.Err()
	if c.problem == nil {
		c.problem = invalid("Nothing was started: look at %s.", count(beside, "input below", "inputs below"))
	}
}

// runInput is what the sent form asks for, with the inputs that differ from those that
// a run has without any.
func (c *request) runInput() (api.RunInput, error) {
	in := api.RunInput{Project: c.PathValue("project"), Flow: c.PathValue("flow")}
	ref := strings.TrimSpace(c.PostFormValue("ref"))
	declared, err := c.API.FlowInputs(c.ctx(), in.Project, in.Flow, "", ref)
	if err != nil {
		return in, err
	}
	if ref != "" {
		in.RefKind, in.Ref = declared.RefKind, ref
	}
	if in.Variables, err = lines(c.PostFormValue("variables"), "a variable"); err != nil {
		return in, err
	}
	others, err := lines(c.PostFormValue("others"), "an input")
	if err != nil {
		return in, err
	}
	values := map[string]string{}
	if wrong := c.formValues(values); wrong != "" {
		return in, invalid("%s", wrong)
	}
	in.Inputs = map[string]any{}
	for name, value := range others {
		in.Inputs[name] = value
	}
	for name, value := range values {
		at := slices.IndexFunc(declared.Inputs, func(d api.FlowInputField) bool { return d.Name == name })
		if at < 0 && value != "" || at >= 0 && given(declared.Inputs[at], value) {
			in.Inputs[name] = value
		}
	}
	return in, nil
}

// given reports whether a value has to be sent: it is not what a run has without it.
func given(d api.FlowInputField, value string) bool {
	usual, has := usualValue(d)
	if value == "" && (!has || d.Type != "text") {
		return d.Optional && has && usual != ""
	}
	return !has || value != usual
}

// usualValue is what an input is if it is not given.
func usualValue(d api.FlowInputField) (string, bool) {
	if v := cmp.Or(d.Value, d.Default); v != nil {
		return *v, true
	}
	return "", false
}

// lines reads NAME=VALUE a line. Values keep their space.
func lines(text, what string) (map[string]string, error) {
	var out map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, invalid("%q is not %s; write a line NAME=VALUE for each", line, what)
		}
		if _, twice := out[name]; twice {
			return nil, invalid("%s is given twice", name)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out, nil
}

// jsonInputs reads inputs of a JSON object as text.
func jsonInputs(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, invalid("this is not a JSON object of inputs: %v", err)
	}
	out := make(map[string]string, len(given))
	for name, raw := range given {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		out[name] = s
	}
	return out, nil
}

// refOption is what names the ref in the command.
func refOption(ref string, in api.FlowInputs) string {
	if ref == "" {
		return ""
	}
	return " --" + cmp.Or(in.RefKind, "branch") + " " + shellWord(ref)
}

// command is what does the same in a shell.
func (f *runForm) command() string {
	var out strings.Builder
	out.WriteString(f.Base + f.RefOption)
	for _, field := range f.Fields {
		if given(field.declared, field.text()) {
			fmt.Fprintf(&out, " --input %s", shellWord(field.Input+"="+field.text()))
		}
	}
	add := func(option, text string) {
		list, _ := lines(text, "") // what is wrong is said when it is sent
		for _, name := range sortedKeys(list) {
			fmt.Fprintf(&out, " --%s %s", option, shellWord(name+"="+list[name]))
		}
	}
	add("input", f.OtherText)
	add("var", f.Variables)
	return out.String()
}

// ChangePath is the form of the run's flow, filled in from the run; "" if there is none.
func (d runData) ChangePath() string {
	if !d.Again || d.Run.Flow == "" {
		return ""
	}
	return flowPath(d.Run.Project, d.Run.Flow) + "?" + url.Values{"from": {strconv.FormatInt(d.Run.ID, 10)}}.Encode()
}
