package web

import (
	"cmp"
	"fmt"

	"refline/internal/api"
	"refline/internal/errs"
)

func lintPages() []page {
	return []page{{pattern: "GET /p/{project}/-/lint", need: "read", show: showLint}}
}

// showLint checks the pipeline file at a ref, if the form was sent.
func showLint(c *request) (*View, error) {
	p, err := c.API.Project(c.ctx(), c.PathValue("project"))
	if err != nil {
		return nil, err
	}
	asked := c.URL.Query()
	ref, file := asked.Get("ref"), asked.Get("file")
	d := listData{Heading: "Lint", Crumbs: projectCrumbs(p.Name), Tabs: projectTabs(p.Name, "lint")}
	f := c.form(form{ID: "lint", Title: "Check a pipeline file", Submit: "Check it", Get: true, Open: true, Path: projectPath(p.Name) + "/-/lint", Fields: []field{
		{Name: "ref", Label: "Branch, tag or commit", Value: ref, Placeholder: "the default branch", Max: 300},
		{Name: "file", Label: "File", Value: file, Placeholder: cmp.Or(p.File, ".gitlab-ci.yml"), Max: 1000},
	}})
	d.Forms = []*form{f}
	v := &View{Template: "list", Title: "Lint of " + p.Name, Section: "/projects", Command: "refline lint"}
	if asked.Has("ref") || asked.Has("file") {
		words := []string{"lint", "--repo", p.URL}
		if ref != "" {
			words = append(words, "--ref", ref)
		}
		if file != "" {
			words = append(words, "--file", file)
		}
		v.Command = command(words...)
		found, err := c.API.Lint(c.ctx(), p.Name, ref, file)
		switch {
		case err != nil && errs.KindOf(err) == errs.Internal:
			return nil, err
		case err != nil: // a ref or a file that is not there is typed anew
			f.Problem = problemOf(err)
		default:
			f.Title, f.Open = "Check another file or ref", false
			lintResult(&d, v, found)
		}
	}
	v.Data = d
	return v, nil
}

func lintResult(d *listData, v *View, l api.Lint) {
	errors, warnings := 0, 0
	t := table{ID: "findings", Title: "Findings", Columns: []string{"Place", "Level", "Finding"}}
	for _, f := range l.Findings {
		level := f.Level
		switch level {
		case "error":
			errors++
		case "warning":
			warnings++
		}
		place := cmp.Or(f.File, l.File)
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
		}
		t.Rows = append(t.Rows, []Cell{code(place), plain(level), {Text: f.Message, Sub: f.Hint}})
	}
	d.Look = "success"
	if errors > 0 {
		d.Look = "failed"
	}
	says := "no errors"
	if errors > 0 {
		says = count(errors, "error", "errors")
	}
	if warnings > 0 {
		says += ", " + count(warnings, "warning", "warnings")
	}
	v.Look, v.Title = d.Look, says+": "+l.File
	d.Facts = facts(fact{"result", plain(says)}, fact{"file", code(l.File)}, fact{"ref", plain(refText(l.RefKind, l.Ref))}, fact{"commit", code(shortCommit(l.Commit))})
	if errors == 0 {
		jobs := count(len(l.Jobs), "job", "jobs") + " of a pipeline that a person starts"
		d.Facts = append(d.Facts, fact{"pipeline", plain(jobs)})
	}
	if len(t.Rows) > 0 {
		d.Tables = []table{t}
	}
}
