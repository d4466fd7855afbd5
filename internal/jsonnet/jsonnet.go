// Package jsonnet evaluates and formats Jsonnet, and finds the line of the
// source that wrote each value of the result.
//
// It promises the bytes that the jsonnet command gives for the same input, one
// error with the stack of files and lines that led to it, and an end when the
// caller no longer waits. Files come from the disk or through a function, so
// that a commit can be evaluated without a checkout. It refuses to know what
// the result is for.
package jsonnet

import (
	"context"
	"io"
	"slices"
	"strings"

	gojsonnet "github.com/google/go-jsonnet"

	"refline/internal/errs"
)

// Output is the form of the result, as the flags of the jsonnet command.
type Output uint8

// The forms. The zero value is one JSON document.
const (
	JSON   Output = iota
	String        // -S: the value is a string and is printed as it is
	Stream        // -y: the value is an array; a YAML stream of JSON documents
	Multi         // -m: the value is an object of files
	MultiString
)

// Binding gives an external variable or a top-level argument its value.
type Binding struct {
	Name  string
	Value string
	Code  bool // Value is Jsonnet, not the string itself
}

// StringFile binds the text of a file (--ext-str-file, --tla-str-file).
func StringFile(name, path string) Binding { return fromFile(name, path, "importstr") }

// CodeFile binds what a Jsonnet file evaluates to (--ext-code-file, --tla-code-file).
func CodeFile(name, path string) Binding { return fromFile(name, path, "import") }

func fromFile(name, path, keyword string) Binding {
	return Binding{Name: name, Value: keyword + " @'" + strings.ReplaceAll(path, "'", "''") + "'", Code: true}
}

// Read returns the contents of a file. A file that is not there is an error
// that errors.Is calls fs.ErrNotExist, or one of kind NotFound; any other error
// ends the evaluation. Paths use slashes and are cleaned; one that leaves the
// root begins with "../".
type Read func(path string) ([]byte, error)

// Input is everything that decides a result.
type Input struct {
	// File is what to evaluate. When it is empty, Snippet is, and Name stands
	// for it in messages ("<stdin>").
	File    string
	Snippet string
	Name    string

	// SearchPaths are the library folders in the order of -J: the last wins.
	// The vendor folder beside the nearest jsonnetfile.json at or above File
	// comes after all of them.
	SearchPaths []string
	External    []Binding // ext-str, ext-code
	Arguments   []Binding // tla-str, tla-code

	Read Read // nil reads the disk
	// DataPlaces gives the places of the values in a file of YAML or JSON, for
	// [Locate]: what std.parseYaml and std.parseJson make of a file that importstr
	// read. It may be nil.
	DataPlaces func(file string, text []byte) Locations
	MaxStack   int       // 0 is jsonnet's own, 500; more than 20,000 counts as that
	MaxTrace   int       // lines of an error's stack; 0 is jsonnet's own, 20; below 0 all
	Trace      io.Writer // where std.trace writes; nil drops it

	Limits Limits // of memory and time

	Output            Output
	NoTrailingNewline bool
}

// Result is what an input evaluates to.
type Result struct {
	// Text is the whole output. For [Multi] it is empty and Files has it.
	Text string
	// Files are those of [Multi], by name; the names come from the program and
	// may point anywhere.
	Files []File
	// Sources are the files that were read, the first one first.
	Sources []string
}

// File is one output of [Multi].
type File struct{ Name, Text string }

// Evaluate evaluates in. An error of the program is of kind Invalid and holds
// one finding (errors.As with *[diag.Failure]) at the innermost line that the
// user wrote; when ctx ends first its error is returned.
//
// Evaluation stops within a function call of ctx ending or of a limit, whose error
// is at the call. What never calls a function of the user (a standard function
// over a huge array) goes on in the background until it is done, but its result is
// no longer waited for.
func Evaluate(ctx context.Context, in Input) (Result, error) {
	imp := newImporter(ctx, in)
	imp.guard = newGuard(in)
	vm, caught := newVM(in, imp)
	return await(ctx, imp.guard, func() (Result, error) {
		res, err := run(vm, in, imp)
		if err != nil {
			return Result{}, explain(ctx, vm, imp, in, caught.or(err))
		}
		res.Sources = slices.Clone(imp.read)
		return res, nil
	})
}

// await runs f and does not wait for it beyond the end of ctx or a limit.
func await[T any](ctx context.Context, g *guard, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := f()
		done <- outcome{v, err}
	}()
	var zero T
	ended := make(chan struct{})
	defer close(ended)
	var over <-chan error
	if g != nil {
		over = g.watch(ended)
	}
	select {
	case err := <-over:
		return zero, err
	case o := <-done:
		if o.err != nil && ctx.Err() != nil {
			return zero, context.Cause(ctx)
		}
		return o.value, o.err
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	}
}

// deepestStack is where recursion ends whatever the input asks for: some way
// beyond it the stack of the whole program would overflow.
const deepestStack = 20_000

func newVM(in Input, imp *importer) (*gojsonnet.VM, *catcher) {
	vm := gojsonnet.MakeVM()
	vm.Importer(imp)
	caught := &catcher{}
	vm.ErrorFormatter = caught
	vm.SetTraceOut(in.Trace)
	if in.Trace == nil {
		vm.SetTraceOut(io.Discard)
	}
	if in.MaxStack > 0 {
		vm.MaxStack = min(in.MaxStack, deepestStack)
	}
	vm.OutputNewline = !in.NoTrailingNewline
	vm.StringOutput = in.Output == String || in.Output == MultiString
	for _, b := range in.External {
		if b.Code {
			vm.ExtCode(b.Name, b.Value)
		} else {
			vm.ExtVar(b.Name, b.Value)
		}
	}
	for _, b := range in.Arguments {
		if b.Code {
			vm.TLACode(b.Name, b.Value)
		} else {
			vm.TLAVar(b.Name, b.Value)
		}
	}
	return vm, caught
}

func run(vm *gojsonnet.VM, in Input, imp *importer) (Result, error) {
	switch {
	case in.Output == Stream && in.NoTrailingNewline:
		return Result{}, errs.E(errs.Invalid, "a YAML stream always ends with a newline")
	case in.File == "" && in.Name == "":
		in.Name = "<snippet>"
	}
	if err := prepare(vm, imp, in); err != nil {
		return Result{}, err
	}
	switch in.Output {
	case Stream:
		docs, err := pick(in, vm.EvaluateFileStream, vm.EvaluateAnonymousSnippetStream)
		return Result{Text: stream(docs)}, err
	case Multi, MultiString:
		files, err := pick(in, vm.EvaluateFileMulti, vm.EvaluateAnonymousSnippetMulti)
		return Result{Files: sorted(files)}, err
	default:
		text, err := pick(in, vm.EvaluateFile, vm.EvaluateAnonymousSnippet)
		return Result{Text: text}, err
	}
}

func pick[T any](in Input, file func(string) (T, error), snippet func(name, code string) (T, error)) (T, error) {
	if in.File != "" {
		return file(in.File)
	}
	return snippet(in.Name, in.Snippet)
}

func stream(docs []string) string {
	if len(docs) == 0 {
		return ""
	}
	return "---\n" + strings.Join(docs, "---\n") + "...\n"
}

func sorted(files map[string]string) []File {
	out := make([]File, 0, len(files))
	for name, text := range files {
		out = append(out, File{name, text})
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}
