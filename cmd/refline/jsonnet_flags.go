package main

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// jsonnetFlags are what decides the result of a Jsonnet file beside the file
// itself, named as the jsonnet command names them.
type jsonnetFlags struct {
	paths               []string
	external, arguments []jsonnet.Binding
	maxStack, maxTrace  int
	maxMemory           int // MiB
	maxTime             time.Duration
}

func (o *jsonnetFlags) bind(e *cli.Env, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&o.paths, "jpath", "J", nil, "a folder of libraries; the last one wins, and those of JSONNET_PATH come after")
	bind := func(kind, short, usage string, into *[]jsonnet.Binding) {
		f.VarP(&bindingFlag{e: e, into: into}, kind+"-str", short, usage+": NAME=TEXT, or NAME from the environment")
		f.Var(&bindingFlag{e: e, into: into, code: true}, kind+"-code", usage+" as code: NAME=CODE, or NAME from the environment")
		f.Var(&bindingFlag{e: e, into: into, file: true}, kind+"-str-file", usage+", the text of a file: NAME=FILE")
		f.Var(&bindingFlag{e: e, into: into, file: true, code: true}, kind+"-code-file", usage+", what a file evaluates to: NAME=FILE")
	}
	bind("ext", "V", "external variable", &o.external)
	bind("tla", "A", "top-level argument", &o.arguments)
	f.IntVarP(&o.maxStack, "max-stack", "s", 500, "how deep calls may nest")
	f.IntVar(&o.maxMemory, "max-memory", 4096, "memory that the evaluation may use, in MiB; 0 for no limit")
	f.DurationVar(&o.maxTime, "max-time", 10*time.Minute, "how long the evaluation may take; 0 for no limit")
	f.IntVarP(&o.maxTrace, "max-trace", "t", 20, "lines of an error's stack; 0 for all")
}

// input is what to evaluate: a file, read from the folder one works in.
func (o *jsonnetFlags) input(e *cli.Env, file string) (jsonnet.Input, error) {
	if o.maxStack < 1 {
		return jsonnet.Input{}, cli.Usagef("--max-stack is at least 1, got %d", o.maxStack)
	}
	if o.maxTrace < 0 {
		return jsonnet.Input{}, cli.Usagef("--max-trace is 0 or more, got %d", o.maxTrace)
	}
	if o.maxMemory < 0 || o.maxTime < 0 {
		return jsonnet.Input{}, cli.Usagef("--max-memory and --max-time are 0 or more, got %d and %s", o.maxMemory, o.maxTime)
	}
	in := jsonnet.Input{File: filepath.ToSlash(file), External: o.external, Arguments: o.arguments, MaxStack: o.maxStack, MaxTrace: o.maxTrace,
		Trace: e.Stderr, Read: jsonnet.FilesFrom(e.Dir)}
	in.Limits = jsonnet.Limits{Memory: int64(o.maxMemory) << 20, Time: o.maxTime}
	if o.maxMemory == 0 {
		in.Limits.Memory = -1
	}
	if o.maxTime == 0 {
		in.Limits.Time = -1
	}
	if o.maxTrace == 0 {
		in.MaxTrace = -1
	}
	fromEnv := slices.DeleteFunc(filepath.SplitList(e.Getenv("JSONNET_PATH")), func(s string) bool { return s == "" })
	slices.Reverse(fromEnv) // the first one of them wins
	in.SearchPaths = append(fromEnv, o.paths...)
	e.Source = in.Read
	return in, nil
}

// bindingFlag adds a binding each time that it is given.
type bindingFlag struct {
	e          *cli.Env
	into       *[]jsonnet.Binding
	code, file bool
}

func (b *bindingFlag) String() string { return "" }

func (b *bindingFlag) Type() string { return "stringArray" }

func (b *bindingFlag) Set(spec string) error {
	name, value, given := strings.Cut(spec, "=")
	switch {
	case b.file && !given:
		return errs.E(errs.Invalid, "it wants NAME=FILE")
	case b.file && b.code:
		*b.into = append(*b.into, jsonnet.CodeFile(name, value))
		return nil
	case b.file:
		*b.into = append(*b.into, jsonnet.StringFile(name, value))
		return nil
	case !given:
		i := slices.IndexFunc(b.e.Environ(), func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if i < 0 {
			return errs.E(errs.Invalid, "%s has no value: give %s=…, or set it in the environment", name, name)
		}
		_, value, _ = strings.Cut(b.e.Environ()[i], "=")
	}
	*b.into = append(*b.into, jsonnet.Binding{Name: name, Value: value, Code: b.code})
	return nil
}
