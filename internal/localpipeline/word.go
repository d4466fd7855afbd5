package localpipeline

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/termview"
)

// looksLikeFile reports whether a word of a command line is meant as a file.
func looksLikeFile(word string) bool {
	word, _ = definition.SplitFlow(word)
	return strings.ContainsRune(word, '/') || slices.Contains([]string{".py", ".sh", ".yml", ".yaml", ".jsonnet"}, path.Ext(word))
}

// takeFile takes the first word of the command line as the file to run, if no
// option names one, it is a file, and no job of the default pipeline has this
// name.
func (c *Compiled) takeFile(ctx context.Context, p *Place, o *Options, r definition.Request, words []string) (file string, jobs []string, err error) {
	if o.File != "" || o.Content != nil || len(words) == 0 {
		return r.File, words, nil
	}
	named := *o
	named.File = words[0]
	if file, err = c.findFile(ctx, p, &named); err != nil {
		if _, missing := os.Lstat(p.path(words[0])); errs.Is(err, errs.Invalid) && missing == nil && looksLikeFile(words[0]) {
			return "", nil, err
		}
		if _, none := definition.DefaultFile(ctx, c.Project); none != nil && looksLikeFile(words[0]) {
			return "", nil, err // there is no pipeline that could have such a job
		}
		return r.File, words, nil // a job, or a mistake that is reported as one
	}
	if d, err := definition.Compile(ctx, r); err == nil && d.Explain(words[0]) != nil {
		return r.File, words, nil
	}
	return file, words[1:], nil
}

// NoJob is the error for a word of the command line that is not a job.
func (c *Compiled) NoJob(ctx context.Context, p *Place, o *Options, word string) error {
	if c.Explain(word) != nil || !looksLikeFile(word) {
		return c.NotInPipeline(ctx, o, word)
	}
	named := *o
	named.File, named.Content = word, nil
	if _, err := c.findFile(ctx, p, &named); err == nil {
		w := termview.ShellWord(word)
		return errs.Usage("%q is a file, and a file comes before jobs: refline run %s JOB…; or name it: -f %s", word, w, w)
	}
	return errs.E(errs.NotFound, "%q is neither a file of %s nor a job of %s%s", word, c.Project.Name(), c.File, c.nearFile(p, word))
}

// nearFile suggests a file beside one that is missing; "" if none is near.
func (c *Compiled) nearFile(p *Place, name string) string {
	if c.Root == "" {
		return "" // of a commit
	}
	dir, base := filepath.Split(name)
	entries, err := os.ReadDir(p.path(dir))
	if err != nil {
		return ""
	}
	var known []string
	for _, entry := range entries {
		if !entry.IsDir() {
			known = append(known, entry.Name())
		}
	}
	if near := diag.Nearest(base, known); near != "" {
		return "; did you mean " + filepath.ToSlash(dir+near) + "?"
	}
	return ""
}
