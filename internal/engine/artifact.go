package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Artifacts of a job are a folder: what later jobs get in files, the reports
// by kind in reports, and artifacts.json last. It is made under another name
// and renamed when whole, so one that can be opened is complete.
const (
	artifactFiles   = "files"
	artifactReports = "reports"
	artifactNote    = "artifacts.json"
	partialSuffix   = ".partial"
)

// ArtifactRequest says what to keep of a job's workspace.
type ArtifactRequest struct {
	Workspace string
	// ProjectDir is how the job sees Workspace (CI_PROJECT_DIR); empty when it
	// sees the same path.
	ProjectDir string
	Artifacts  *pipeline.Artifacts // nil: nothing
	Failed     bool                // the job's result, for artifacts:when
	Base       *Tree               // tells what is tracked, for artifacts:untracked
	Expand     func(string) string // of variables in paths; nil: none
	// Move lets the files be taken out of the workspace, which is to be thrown
	// away: nothing is copied then.
	Move bool
}

// ArtifactReport tells what was kept. Notes and Warnings are lines for the
// job's log.
type ArtifactReport struct {
	Stored   bool // there is something at dst
	Files    int
	Bytes    int64
	Reports  map[string][]string // kind → paths in the workspace, sorted
	Notes    []string
	Warnings []string
}

// artifactInfo is what artifacts.json says.
type artifactInfo struct {
	Name     string              `json:"name,omitempty"`
	ExpireIn string              `json:"expire_in,omitempty"`
	Created  time.Time           `json:"created"`
	Files    int                 `json:"files"`
	Bytes    int64               `json:"bytes"`
	Reports  map[string][]string `json:"reports,omitempty"`
}

// Collect keeps a job's artifacts in the folder dst, replacing what is there.
// Reports are kept whatever the job's result, the rest by artifacts:when. A
// pattern that finds nothing is a warning; an error means that nothing was
// kept.
func Collect(ctx context.Context, req ArtifactRequest, dst string) (ArtifactReport, error) {
	var report ArtifactReport
	a := req.Artifacts
	if a == nil {
		return report, nil
	}
	partial := dst + partialSuffix
	if err := errors.Join(removeAll(partial), discard(dst), os.MkdirAll(partial, 0o777)); err != nil {
		return report, fmt.Errorf("artifacts: %w", err)
	}
	err := req.collect(ctx, partial, &report)
	if err == nil && report.Stored {
		err = req.seal(partial, dst, &report)
	}
	if err != nil || !report.Stored {
		err = errors.Join(err, removeAll(partial))
	}
	if err != nil {
		return ArtifactReport{Notes: report.Notes, Warnings: report.Warnings}, fmt.Errorf("artifacts: %w", err)
	}
	return report, nil
}

// discard removes a folder that counts as whole while it has its name.
func discard(dir string) error {
	old := dir + ".dead"
	if err := removeAll(old); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !notThere(err) {
		return err
	}
	return removeAll(old)
}

func (req *ArtifactRequest) collect(ctx context.Context, partial string, report *ArtifactReport) error {
	a := req.Artifacts
	// Reports first, by copy: the same files may be among the paths.
	for _, kind := range slices.Sorted(maps.Keys(a.Reports)) {
		if err := req.collectReport(ctx, kind, partial, report); err != nil {
			return err
		}
	}
	if !keepWhen(a.When, req.Failed) || len(a.Paths) == 0 && !a.Untracked {
		return nil
	}
	want := req.want(a.Paths)
	want.exclude = a.Exclude
	if a.Untracked && req.Base != nil {
		want.untracked = func(path string) bool { return !req.Base.Has(path) }
	}
	sel, err := choose(ctx, req.Workspace, want)
	if err != nil {
		return err
	}
	defer sel.close()
	report.add(sel, "")
	if len(sel.top.inside) == 0 {
		report.Warnings = append(report.Warnings, "artifacts: no files to keep")
		return nil
	}
	report.Files, report.Bytes, report.Stored = sel.files, sel.bytes, true
	return sel.stow(ctx, filepath.Join(partial, artifactFiles), req.Move)
}

func (req *ArtifactRequest) collectReport(ctx context.Context, kind, partial string, report *ArtifactReport) error {
	if strings.ContainsAny(kind, `/\`) || !filepath.IsLocal(kind) {
		return errs.E(errs.Invalid, "%q is not a kind of report", kind)
	}
	sel, err := choose(ctx, req.Workspace, req.want(req.Artifacts.Reports[kind]))
	if err != nil {
		return err
	}
	defer sel.close()
	report.add(sel, "reports:"+kind+": ")
	if sel.files == 0 {
		return nil
	}
	if report.Reports == nil {
		report.Reports = map[string][]string{}
	}
	report.Reports[kind] = sel.top.paths(".", nil)
	report.Stored = true
	return sel.stow(ctx, filepath.Join(partial, artifactReports, kind), false)
}

func (req *ArtifactRequest) want(paths []string) wanted {
	return wanted{paths: paths, expand: req.Expand, projectDir: req.ProjectDir}
}

// seal writes the note and gives the folder its name.
func (req *ArtifactRequest) seal(partial, dst string, report *ArtifactReport) error {
	info := artifactInfo{
		Name: req.Artifacts.Name, ExpireIn: req.Artifacts.ExpireIn, Created: time.Now().UTC(),
		Files: report.Files, Bytes: report.Bytes, Reports: report.Reports,
	}
	if req.Expand != nil {
		info.Name = req.Expand(info.Name)
	}
	note, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(partial, artifactNote), note, 0o666); err != nil {
		return err
	}
	return os.Rename(partial, dst)
}

func (r *ArtifactReport) add(sel *selection, prefix string) {
	for _, line := range sel.notes {
		r.Notes = append(r.Notes, "artifacts: "+prefix+line)
	}
	for _, line := range sel.warnings {
		r.Warnings = append(r.Warnings, "artifacts: "+prefix+line)
	}
}

// paths lists the files and links of a pick, sorted.
func (p *pick) paths(at string, list []string) []string {
	for _, name := range slices.Sorted(maps.Keys(p.inside)) {
		q := p.inside[name]
		if q.kind == isDir {
			list = q.paths(joinPath(at, name), list)
		} else {
			list = append(list, joinPath(at, name))
		}
	}
	return list
}

// keepWhen decides artifacts:when and cache:when.
func keepWhen(when pipeline.When, failed bool) bool {
	switch when {
	case pipeline.WhenAlways:
		return true
	case pipeline.WhenOnFailure:
		return failed
	default:
		return !failed
	}
}

// ArtifactFolder is what [Collect] kept of one job.
type ArtifactFolder struct {
	dir  string
	info artifactInfo
}

// ArtifactFile is one file of an artifact folder. Path has slashes.
type ArtifactFile struct {
	Path string      `json:"path"`
	Size int64       `json:"size"`
	Mode fs.FileMode `json:"mode"`
	Link string      `json:"link,omitempty"` // where a link points
}

// OpenArtifacts opens what Collect made at dir; NotFound when there is nothing.
func OpenArtifacts(dir string) (*ArtifactFolder, error) {
	note, err := os.ReadFile(filepath.Join(dir, artifactNote))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "no artifacts in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	a := &ArtifactFolder{dir: dir}
	if err := json.Unmarshal(note, &a.info); err != nil {
		return nil, errs.E(errs.NotFound, "the artifacts in %s are damaged: %w", dir, err)
	}
	return a, nil
}

// ExpireIn is what artifacts:expire_in says, as written.
func (a *ArtifactFolder) ExpireIn() string { return a.info.ExpireIn }

// Created is when the artifacts were kept.
func (a *ArtifactFolder) Created() time.Time { return a.info.Created }

// Size gives the number of files (reports are not counted) and their bytes.
func (a *ArtifactFolder) Size() (files int, bytes int64) { return a.info.Files, a.info.Bytes }

// Restore copies the files, but not the reports, into a job's workspace.
func (a *ArtifactFolder) Restore(ctx context.Context, workspace string) error {
	dir := filepath.Join(a.dir, artifactFiles)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil // reports alone
	}
	if err := unstow(ctx, NewTree(dir), workspace, nil); err != nil {
		return fmt.Errorf("restore artifacts: %w", err)
	}
	return nil
}

// List gives the files and links, sorted by path.
func (a *ArtifactFolder) List() ([]ArtifactFile, error) {
	dir := filepath.Join(a.dir, artifactFiles)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.close()
	t := &Tree{}
	if err := t.scan(root, "."); err != nil {
		return nil, err
	}
	list := make([]ArtifactFile, 0, t.files)
	for _, d := range t.dirs {
		for _, n := range d.files {
			f := ArtifactFile{Path: joinPath(d.path, n.name), Size: n.size, Mode: n.mode, Link: n.target}
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(x, y ArtifactFile) int { return strings.Compare(x.Path, y.Path) })
	return list, nil
}

// Open opens one file by its path in the job's workspace, following links only
// inside the artifacts; NotFound when it is not there.
func (a *ArtifactFolder) Open(file string) (io.ReadCloser, error) {
	return a.open(artifactFiles, file)
}

// Reports gives the paths of the reports of a kind.
func (a *ArtifactFolder) Reports(kind string) []string { return a.info.Reports[kind] }

// OpenReport opens one of [ArtifactFolder.Reports].
func (a *ArtifactFolder) OpenReport(kind, file string) (io.ReadCloser, error) {
	return a.open(artifactReports+"/"+kind, file)
}

func (a *ArtifactFolder) open(sub, file string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(filepath.Join(a.dir, filepath.FromSlash(sub)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "the artifacts have no file %q", file)
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file = path.Clean(file)
	info, err := root.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errs.E(errs.NotFound, "the artifacts have no file %q", file)
	}
	return root.Open(file)
}
