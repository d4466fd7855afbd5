package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/checkout"
	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/image"
	"refline/internal/localpipeline"
	"refline/internal/pipeline"
	"refline/internal/source"
	"refline/internal/termview"
)

// imageContent is what an image is built of: a checkout, and the flows in it.
type imageContent struct {
	dir      string
	manifest image.Manifest
	closers  []func()
}

func (c *imageContent) close() {
	for _, f := range slices.Backward(c.closers) {
		f()
	}
}

// open checks the commit out and compiles its flows, so that an image with a flow
// that cannot run is not built.
func (o *imageBuildOptions) open(ctx context.Context, e *cli.Env, args []string) (_ *imageContent, err error) {
	c := &imageContent{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	o.noteUncommitted(ctx, e)
	commit, files, err := localpipeline.OpenCommit(ctx, e.Local(), &o.Options)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, files.Close)
	if err := o.compile(ctx, e, c, commit, args); err != nil {
		return nil, err
	}
	if err := c.checkOut(ctx, o, files); err != nil {
		return nil, err
	}
	return c, nil
}

// checkOut makes the files in a folder that is gone afterwards.
func (c *imageContent) checkOut(ctx context.Context, o *imageBuildOptions, files checkout.Checkout) error {
	dir, err := os.MkdirTemp("", "refline-image-")
	if err != nil {
		return err
	}
	c.closers = append(c.closers, func() { _ = os.RemoveAll(dir) })
	c.dir = filepath.Join(dir, "src")
	opts := checkout.Options{LFS: o.lfs, Depth: 1}
	if o.submodules {
		opts.Submodules = git.SubmodulesRecursive
	}
	_, err = files.Tree(ctx, c.dir, opts)
	return err
}

// noteUncommitted says that changes of the working tree are not in the image.
func (o *imageBuildOptions) noteUncommitted(ctx context.Context, e *cli.Env) {
	if o.Repo+o.Branch+o.Tag+o.Commit != "" {
		return
	}
	tree, err := git.Open(ctx, e.Dir, e.Environ())
	if err != nil || !tree.InRepository() || tree.SHA == "" {
		return
	}
	if changed, err := tree.Changed(ctx, "HEAD"); err == nil && len(changed) > 0 {
		e.Notef("%s with changes that are not committed; the image has them as they are in %.7s", termview.Count(len(changed), "file"), tree.SHA)
	}
}

// compile makes the manifest.
func (o *imageBuildOptions) compile(ctx context.Context, e *cli.Env, c *imageContent, commit *source.Commit, args []string) error {
	facts, err := commit.Facts(ctx)
	if err != nil {
		return err
	}
	resolved := commit.Resolved()
	m := &c.manifest
	m.Version, m.Source = 1, image.Source{Repository: facts.Remote, Commit: facts.SHA, Time: facts.Committed.UTC()}
	if resolved.Kind == git.KindBranch || resolved.Kind == git.KindTag {
		m.Source.RefKind, m.Source.Ref = string(resolved.Kind), resolved.Name
	}
	paths, err := o.flowPaths(ctx, e, commit, args)
	if err != nil {
		return err
	}
	inputs, err := remote.ParseInputs(o.Inputs)
	if err != nil {
		return err
	}
	recorder := source.NewRecorder(commit)
	var failed []error
	pipelines := false
	for _, p := range paths {
		d, err := definition.Compile(ctx, definition.Request{Source: recorder, File: p, Trigger: pipeline.TriggerAPI, Created: e.Now(), Inputs: inputs, Unproven: true})
		if err == nil {
			err = findingsOf(ctx, d)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		pipelines = pipelines || !d.Script
		m.Flows = append(m.Flows, manifestFlow(m, d, inputs))
	}
	if len(failed) == 1 {
		return failed[0]
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	m.Definition, err = recorder.Freeze(ctx, pipelines)
	return err
}

// findingsOf are the errors of a flow; inputs without a value may come with each run.
func findingsOf(ctx context.Context, d *definition.Definition) error {
	err := slices.DeleteFunc(slices.Clone(d.Findings), func(f diag.Finding) bool { return f.Rule == "missing-input" }).Err()
	if err == nil {
		return nil
	}
	return diag.WithSource(err, func(file string) ([]byte, error) { return d.ReadFile(ctx, file) })
}

// manifestFlow describes a flow, with what starts it where there is no Refline.
func manifestFlow(m *image.Manifest, d *definition.Definition, inputs map[string]any) image.Flow {
	f := image.Flow{Path: d.File, Name: strings.TrimSuffix(path.Base(d.File), path.Ext(d.File))}
	if d.Flow != "" {
		f.Path, f.Name = definition.JoinFlow(d.File, d.Flow), d.Flow
	}
	if f.Name == "" || strings.HasPrefix(f.Name, ".") || slices.ContainsFunc(m.Flows, func(other image.Flow) bool { return other.Name == f.Name }) {
		f.Name = f.Path
	}
	for name, value := range inputs {
		if f.Inputs == nil {
			f.Inputs = map[string]string{}
		}
		f.Inputs[name] = fmt.Sprint(value)
	}
	if !d.Script {
		return f
	}
	f.Command = d.ScriptCommand()
	for _, v := range d.Pipeline.Jobs[0].Variables {
		if !v.Raw {
			if f.Env == nil {
				f.Env = map[string]string{}
			}
			f.Env[v.Name] = inDoubleQuotes(v.Value)
		}
	}
	return f
}

// inDoubleQuotes turns the value of a variable, in which $NAME is expanded and $$ is
// a dollar, into what a shell has in double quotes.
func inDoubleQuotes(value string) string {
	return strings.NewReplacer("$$", `\$`, `\`, `\\`, `"`, `\"`, "`", "\\`").Replace(value)
}

// flowPaths are the files of the commit that the arguments mean.
func (o *imageBuildOptions) flowPaths(ctx context.Context, e *cli.Env, commit *source.Commit, args []string) ([]string, error) {
	if len(args) == 0 {
		file, err := definition.DefaultFile(ctx, commit)
		if errs.Is(err, errs.NotFound) {
			err = errs.E(errs.NotFound, "%w; or name the flows: refline image build FLOW…", err)
		}
		return []string{file}, err
	}
	all, err := commit.Loader(gitlabci.Facts{}).List(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, arg := range args {
		arg, flow := definition.SplitFlow(arg)
		name := o.inRepository(ctx, e, arg)
		if slices.Contains(all, name) {
			out = append(out, definition.JoinFlow(name, flow))
			continue
		}
		found := false
		for _, file := range all {
			if path.Dir(file) == name && remote.IsFlowFile(path.Base(file)) {
				out, found = append(out, file), true
			}
		}
		if !found {
			return nil, errs.E(errs.NotFound, "no file %s in %s; if it is only here, commit it", name, commit.At())
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(p string) bool { was := seen[p]; seen[p] = true; return was }), nil
}

// inRepository is an argument as a path of the repository: in a checkout it may be
// relative to the folder that is worked in.
func (o *imageBuildOptions) inRepository(ctx context.Context, e *cli.Env, arg string) string {
	name := path.Clean(strings.TrimPrefix(filepath.ToSlash(arg), "/"))
	if o.Repo != "" {
		return name
	}
	tree, err := git.Open(ctx, e.Dir, e.Environ())
	if err != nil || !tree.InRepository() {
		return name
	}
	if _, err := os.Stat(e.Path(arg)); err != nil {
		return name // as it is called in the repository
	}
	rel, err := filepath.Rel(git.RealPath(tree.Root), git.RealPath(e.Path(arg)))
	if err != nil || !filepath.IsLocal(rel) {
		return name
	}
	return filepath.ToSlash(rel)
}
