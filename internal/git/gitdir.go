package git

import (
	"os"
	"path/filepath"
	"strings"
)

// gitDir is a repository as few files, written without a process. Made fresh
// for each checkout, it holds nothing that an earlier job could have left.
type gitDir struct {
	head       string // a commit, or "ref: refs/heads/…" before the first one
	config     []setting
	refs       []refEntry // sorted by name
	alternates []string   // object folders to borrow from
	shallow    string     // commits whose parents are left out, a line each
	info       map[string]string
}

// write makes dir, a path that ends in .git. An index that lies there already
// stays.
func (g gitDir) write(dir string) error {
	// Only the folders by which git recognises a repository: each one costs every
	// job, and git makes the others when it needs them.
	subs := []string{"objects/info", "refs"}
	if len(g.info) > 0 {
		subs = append(subs, "info")
	}
	for _, sub := range subs {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o777); err != nil {
			return err
		}
	}
	files := map[string]string{
		"HEAD":   g.head + "\n",
		"config": formatConfig(g.config),
	}
	if len(g.refs) > 0 {
		files["packed-refs"] = writePackedRefs(g.refs)
	}
	if g.shallow != "" {
		files["shallow"] = g.shallow
	}
	if len(g.alternates) > 0 {
		lines := make([]string, len(g.alternates))
		for i, a := range g.alternates {
			lines[i] = quoteAlternate(filepath.ToSlash(a))
		}
		files["objects/info/alternates"] = strings.Join(lines, "\n") + "\n"
	}
	for name, text := range g.info {
		files["info/"+name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// quoteAlternate writes a path as git reads it: C-quoted when a plain line
// would be cut or taken for a comment.
func quoteAlternate(path string) string {
	if !strings.ContainsAny(path, "\n\"") && !strings.HasPrefix(path, "#") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// formatConfig writes settings in the syntax of git-config(1). Values are
// quoted whole, so none can begin another line.
func formatConfig(settings []setting) string {
	var b strings.Builder
	for _, s := range settings {
		first, last := strings.IndexByte(s.key, '.'), strings.LastIndexByte(s.key, '.')
		b.WriteString("[" + s.key[:first])
		if last > first {
			sub := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.key[first+1 : last])
			b.WriteString(` "` + sub + `"`)
		}
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s.value)
		b.WriteString("]\n\t" + s.key[last+1:] + " = \"" + value + "\"\n")
	}
	return b.String()
}

// workspaceConfig is the configuration every checkout begins with. Workspaces
// are copies: inode and change time differ from those in the index, so only
// size and modification time count, and "git status" in a job need not read
// every file again.
func workspaceConfig() []setting {
	return []setting{
		{"core.repositoryformatversion", "0"},
		{"core.bare", "false"},
		{"core.checkStat", "minimal"},
		{"core.trustctime", "false"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"advice.detachedHead", "false"},
	}
}
