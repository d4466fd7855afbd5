package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/executor/kubernetes"
	"refline/internal/git"
	"refline/internal/jsonnet"
)

// jobTemplate is where a job template comes from: a file, also of a commit.
type jobTemplate struct {
	file, repository    string
	branch, tag, commit string
	text                string           // what was read, for the places of its values
	jsonnet             *jsonnet.Input   // of a template in Jsonnet
	evaluated           jsonnet.Result   // likewise
	from                api.TemplateFrom // for people
	name                string           // in messages
}

func (t *jobTemplate) bind(f *pflag.FlagSet) {
	f.StringVar(&t.file, "template", "", "kubernetes: file with a Job of batch/v1, YAML, JSON or Jsonnet, that is merged below these settings; - for standard input")
	f.StringVar(&t.repository, "template-repo", "", "kubernetes: repository that has --template (default with a ref: the one around the current folder)")
	f.StringVar(&t.branch, "template-branch", "", "kubernetes: take --template from the commit that this branch is at now")
	f.StringVar(&t.tag, "template-tag", "", "kubernetes: take --template from this tag")
	f.StringVar(&t.commit, "template-commit", "", "kubernetes: take --template from this commit")
}

func (t *jobTemplate) given() bool {
	return t.file != "" || t.repository != "" || t.branch != "" || t.tag != "" || t.commit != ""
}

// mostTemplate bounds a file that is kept with the runtime.
const mostTemplate = 256 << 10

// read returns a Job as JSON.
func (t *jobTemplate) read(ctx context.Context, e *cli.Env) (json.RawMessage, error) {
	t.name = t.file
	read, err := t.source(ctx, e)
	if err != nil {
		return nil, err
	}
	text, err := read(filepath.ToSlash(t.file))
	switch {
	case err != nil:
		return nil, errs.E(errs.NotFound, "the job template %s: %w", t.name, err)
	case len(text) > mostTemplate:
		return nil, errs.E(errs.Invalid, "the job template %s has more than %d bytes", t.name, mostTemplate)
	}
	t.text = string(text)
	if ext := path.Ext(t.file); ext == ".jsonnet" || ext == ".libsonnet" {
		t.jsonnet = &jsonnet.Input{File: filepath.ToSlash(t.file), Read: read, Trace: e.Stderr}
		if t.evaluated, err = jsonnet.Evaluate(ctx, *t.jsonnet); err != nil {
			return nil, err
		}
		text = []byte(t.evaluated.Text)
	}
	var value map[string]any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, errs.E(errs.Invalid, "the job template %s: %w", t.name, err)
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the job template %s: %w", t.name, err)
	}
	return out, nil
}

// source says how the template and what it imports are read.
func (t *jobTemplate) source(ctx context.Context, e *cli.Env) (jsonnet.Read, error) {
	ref := git.Ref{}
	for _, x := range []git.Ref{{Kind: git.KindBranch, Name: t.branch}, {Kind: git.KindTag, Name: t.tag}, {Kind: git.KindCommit, Name: t.commit}} {
		if x.Name != "" {
			if ref.Name != "" {
				return nil, cli.Usagef("a template is of one of --template-branch, --template-tag and --template-commit")
			}
			ref = x
		}
	}
	switch {
	case t.file == "":
		return nil, cli.Usagef("which file of the repository is the template? --template FILE")
	case t.file == "-" && (ref.Name != "" || t.repository != ""):
		return nil, cli.Usagef("--template - is standard input, and not of a repository")
	case t.file == "-":
		return func(string) ([]byte, error) { return io.ReadAll(io.LimitReader(e.Stdin, mostTemplate+1)) }, nil
	case ref.Name == "" && t.repository == "":
		return jsonnet.FilesFrom(e.Dir), nil
	}
	if t.repository == "" {
		tree, err := git.Open(ctx, e.Dir, e.Environ())
		if err != nil {
			return nil, err
		}
		t.repository = tree.Root
	}
	cache, err := e.CacheDir()
	if err != nil {
		return nil, err
	}
	remote, err := git.NewRemote(t.repository, filepath.Join(cache, "git"), git.Access{Trust: git.User, AllowFile: true, Environ: e.Environ()})
	if err != nil {
		return nil, err
	}
	found, err := remote.Resolve(ctx, ref)
	if err == nil {
		err = remote.Fetch(ctx, found, 1)
	}
	if err != nil {
		return nil, err
	}
	t.from = api.TemplateFrom{Repository: remote.URL(), Ref: ref.Name, Commit: found.Commit, Path: t.file}
	t.name = t.file + " of " + found.Commit[:7]
	reader := remote.Reader(ctx)
	return func(name string) ([]byte, error) { return reader.ReadFile(found.Commit, name) }, nil
}

// explain adds the place of a value to an error that a check of the template found.
func (t *jobTemplate) explain(ctx context.Context, err error) error {
	fault, ok := errors.AsType[*kubernetes.TemplateError](err)
	if !ok || t.text == "" {
		return err
	}
	place := diag.Place{File: t.name}
	if t.jsonnet != nil {
		if places, lerr := jsonnet.Locate(ctx, *t.jsonnet, t.evaluated); lerr == nil {
			place = places.At(fault.Pointer())
		}
	} else {
		place.Line, place.Column = placeInYAML(t.text, strings.Split(strings.TrimPrefix(fault.Pointer(), "/"), "/"))
	}
	return errs.E(errs.Invalid, "%s: %w", place, err)
}

// placeInYAML is where the value of a path is, or the innermost one around it.
func placeInYAML(text string, steps []string) (line, column int) {
	var n yaml.Node
	if yaml.NewDecoder(bytes.NewReader([]byte(text))).Decode(&n) != nil || len(n.Content) == 0 {
		return 0, 0
	}
	at := n.Content[0]
	line, column = at.Line, at.Column
	for _, step := range steps {
		next, key := child(at, step)
		if next == nil {
			break
		}
		at, line, column = next, key.Line, key.Column
	}
	return line, column
}

// child is a value of a map or list, with what has its place: the key, or the value.
func child(n *yaml.Node, step string) (value, key *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; i < len(n.Content); i++ {
		switch n.Kind {
		case yaml.MappingNode:
			if i+1 < len(n.Content) && n.Content[i].Value == step {
				return n.Content[i+1], n.Content[i]
			}
			i++
		case yaml.SequenceNode:
			if step == strconv.Itoa(i) {
				return n.Content[i], n.Content[i]
			}
		}
	}
	return nil, nil
}
