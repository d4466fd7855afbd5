package definition

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// isScript reports whether a file is a flow of one job by itself rather than a
// definition of a pipeline: a Python or shell file by its name, or anything
// whose first line starts with "#!". head is the beginning of the file, its
// first line at least.
func isScript(file string, head []byte) bool {
	switch strings.ToLower(path.Ext(file)) {
	case ".py", ".sh":
		return true
	case ".yml", ".yaml", ".json", ".jsonnet", ".libsonnet":
		return false
	}
	return bytes.HasPrefix(head, []byte("#!"))
}

// scriptPipeline makes the pipeline of one job that runs a script. file is its
// path in the repository, with slashes. The job is named by the flow if the
// request names one, else by the file without its extension, and runs at the repository's root; a Python script finds
// modules in its own folder and at the root. An input K=V reaches it as the
// argument --K=V and as the variable REFLINE_INPUT_K, where characters that a
// variable's name cannot have are "_", and K is also there in upper case.
func scriptPipeline(file string, head []byte, inputs map[string]string, script pythonScript) (*pipeline.Pipeline, error) {
	file = path.Clean(file)
	if !isScript(file, head) {
		return nil, errs.E(errs.Invalid, `%s is not a script: it has neither a name that ends in .py or .sh nor a first line that starts with "#!"`, file)
	}
	if path.IsAbs(file) || file == ".." || strings.HasPrefix(file, "../") || strings.ContainsRune(file, 0) {
		return nil, errs.E(errs.Invalid, "the script %s is not inside the repository", file)
	}
	vars, args, err := scriptInputs(inputs)
	if err != nil {
		return nil, err
	}
	command := script.command(file, head)
	args = script.arguments(inputs, args)
	if isPython(file, head) {
		vars = append(pythonVariables(file), vars...)
	}
	name := strings.TrimSuffix(path.Base(file), path.Ext(file))
	if name == "" {
		name = path.Base(file)
	}
	if script.named {
		name = script.flow
	}
	job := pipeline.Job{
		Name: name, Base: name, Stage: "test", When: pipeline.WhenOnSuccess,
		Variables: vars, Script: []string{strings.Join(append(command, args...), " ")},
	}
	if isPython(file, head) {
		job.Python = file
	}
	job.Origin.File, job.Origin.Line = file, 1
	return &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{job}}, nil
}

// ScriptCommand is what starts the script of a definition, quoted for a shell and
// without inputs; "" for a pipeline.
func (d *Definition) ScriptCommand() string {
	if !d.Script {
		return ""
	}
	return d.command
}

// scriptInputs gives inputs as variables and as arguments, by name.
func scriptInputs(inputs map[string]string) (vars []pipeline.Variable, args []string, err error) {
	given := map[string]string{} // variable → its input
	for _, key := range slices.Sorted(maps.Keys(inputs)) {
		value := inputs[key]
		if !isInputName(key) {
			return nil, nil, errs.E(errs.Invalid, "input %q: a name has letters, digits, _ and -, and starts with a letter or _", key)
		}
		if strings.ContainsRune(value, 0) {
			return nil, nil, errs.E(errs.Invalid, "input %q: the value has a zero byte", key)
		}
		args = append(args, quote("--"+key+"="+value))
		name := strings.ReplaceAll(key, "-", "_")
		for _, name := range slices.Compact([]string{name, strings.ToUpper(name)}) {
			if other, ok := given[name]; ok {
				return nil, nil, errs.E(errs.Invalid, "inputs %q and %q are the same variable REFLINE_INPUT_%s", other, key, name)
			}
			given[name] = key
			vars = append(vars, pipeline.Variable{Name: "REFLINE_INPUT_" + name, Value: value, Raw: true})
		}
	}
	return vars, args, nil
}

func isInputName(key string) bool {
	for i, c := range key {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return key != ""
}

// scriptCommand gives the words, quoted for a shell, that start the script. The
// file needs no permission to be executed.
func scriptCommand(file string, head []byte) []string {
	target := quote(file)
	if strings.HasPrefix(file, "-") {
		target = quote("./" + file)
	}
	interpreter, argument := shebang(head)
	base := path.Base(interpreter)
	if base == "env" && !strings.HasPrefix(argument, "-") && !strings.ContainsAny(argument, "= \t") {
		base = argument
	}
	switch {
	case isPython(file, head):
		// By name, so that the environment made for the script is found first.
		if !strings.HasPrefix(base, "python") {
			base = "python3"
		}
		if interpreter != "" && argument != "" && path.Base(interpreter) == base {
			return []string{base, quote(argument), target}
		}
		return []string{base, target}
	case interpreter == "":
		return []string{`"$(command -v bash || command -v sh)"`, target}
	case argument == "":
		return []string{quote(interpreter), target}
	default:
		// A kernel gives all that follows the interpreter as one argument.
		return []string{quote(interpreter), quote(argument), target}
	}
}

// flowCommand gives the words that call one flow of a Python file.
func flowCommand(file, flow string, head []byte) []string {
	return []string{scriptCommand(file, head)[0], "-m", "refline", quote(path.Clean(file) + ":" + flow)}
}

// shebang reads the first line; both are empty when there is none.
func shebang(head []byte) (interpreter, argument string) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.TrimSpace(string(line))
	if i := strings.IndexAny(words, " \t"); i >= 0 {
		return words[:i], strings.TrimSpace(words[i:])
	}
	return words, ""
}

// isPython reports whether Python runs the script.
func isPython(file string, head []byte) bool {
	interpreter, argument := shebang(head)
	if interpreter == "" {
		return strings.EqualFold(path.Ext(file), ".py")
	}
	if path.Base(interpreter) == "env" {
		interpreter = argument
	}
	return strings.HasPrefix(path.Base(interpreter), "python")
}

// pythonVariables lets a script import what lies beside it and at the root,
// and see its output as it comes.
func pythonVariables(file string) []pipeline.Variable {
	where := "$CI_PROJECT_DIR"
	if dir := path.Dir(file); dir != "." {
		where += "/" + strings.ReplaceAll(dir, "$", "$$") + ":$CI_PROJECT_DIR"
	}
	return []pipeline.Variable{
		{Name: "PYTHONPATH", Value: where},
		{Name: "PYTHONUNBUFFERED", Value: "1"},
	}
}

// quote makes text one word of a POSIX shell.
func quote(text string) string {
	plain := text != ""
	for _, c := range text {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,@%+-", c) {
			plain = false
			break
		}
	}
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
