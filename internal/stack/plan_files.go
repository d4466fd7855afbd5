package stack

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/errs"
	"refline/internal/jsonnet"
	"refline/internal/stack/planfile"
)

// ReadPlans reads plan files for one deployment; a folder means all plan files
// in it. Relative paths are relative to dir.
func ReadPlans(dir string, args []string, read jsonnet.Read) ([]*planfile.Plan, error) {
	var plans []*planfile.Plan
	for _, arg := range args {
		files, err := planFilesOf(dir, arg)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			p, err := readPlan(file, read)
			if err != nil {
				return nil, err
			}
			if err := deployedWith(p, plans); err != nil {
				return nil, err
			}
			plans = append(plans, p)
		}
	}
	return plans, nil
}

func planFilesOf(dir, arg string) ([]string, error) {
	path := within(dir, arg)
	info, err := os.Stat(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "plan file %s: %w", arg, withoutPath(err))
	}
	if !info.IsDir() {
		return []string{arg}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "folder %s: %w", arg, withoutPath(err))
	}
	var files []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), planfile.Suffix) {
			files = append(files, filepath.Join(arg, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, errs.E(errs.NotFound, "folder %s has no file *%s; refline stack plan makes one", arg, planfile.Suffix)
	}
	return files, nil
}

func readPlan(file string, read jsonnet.Read) (*planfile.Plan, error) {
	text, err := read(file)
	if err != nil {
		return nil, errs.E(errs.NotFound, "plan file %s: %w", file, withoutPath(err))
	}
	return planfile.Decode(file, text)
}

// deployedWith reports why a plan cannot be deployed together with others.
func deployedWith(p *planfile.Plan, others []*planfile.Plan) error {
	for _, other := range others {
		if other.StackName == p.StackName {
			return errs.E(errs.Invalid, "two plans of stack %s; deploying one makes the other obsolete", p.StackName)
		}
		if other.Environment != p.Environment {
			return errs.E(errs.Invalid, "the plans are for %s and %s; deploy one environment at a time", other.Environment, p.Environment)
		}
	}
	return nil
}

// PlanFolder is where plan files are kept: Output is a folder, or a file .json for
// a single plan. Relative paths are relative to Dir.
type PlanFolder struct{ Dir, Output string }

// Single reports whether there is only one plan file.
func (f PlanFolder) Single() bool { return strings.HasSuffix(f.Output, ".json") }

// File is where a stack's plan is kept, by its name in CloudFormation.
func (f PlanFolder) File(stackName string) string {
	if f.Single() {
		return f.Output
	}
	return filepath.Join(f.Output, planfile.FileName(stackName))
}

// Remove removes the earlier plans of targets, and other files that were made of
// them, so that none of them passes for a later plan. If targets are all stacks
// of env, the plans of stacks that env does not have any more go too.
func (f PlanFolder) Remove(env *Environment, targets []*Target, all bool, others []string, read jsonnet.Read) error {
	old := others
	for _, t := range targets {
		old = append(old, f.File(t.StackName))
	}
	if all && !f.Single() {
		left, err := f.plansOf(env, read)
		if err != nil {
			return err
		}
		old = append(old, left...)
	}
	for _, file := range old {
		if file == "" {
			continue
		}
		if err := os.Remove(within(f.Dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errs.E(errs.Invalid, "remove the earlier plan %s: %w", filepath.ToSlash(file), withoutPath(err))
		}
	}
	return nil
}

// plansOf are the plan files in the folder that are for an environment.
func (f PlanFolder) plansOf(env *Environment, read jsonnet.Read) ([]string, error) {
	entries, err := os.ReadDir(within(f.Dir, f.Output))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.Invalid, "folder %s: %w", f.Output, withoutPath(err))
	}
	var files []string
	for _, entry := range entries {
		file := filepath.Join(f.Output, entry.Name())
		if !entry.Type().IsRegular() || !strings.HasSuffix(file, planfile.Suffix) {
			continue
		}
		p, err := readPlan(file, read)
		if err == nil && p.Environment == env.Name && p.Account == env.Account && p.Region == env.Region {
			files = append(files, file)
		}
	}
	return files, nil
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// withoutPath drops the path that os puts into its errors.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
