// Command verdict checks folders of CloudFormation templates with refline and with
// cfn-lint and prints how often both come to the same verdict: whether a template
// has an error. Each folder is a row. With -list it also prints every template
// that the two disagree about, with the rules of both.
//
//	go run ./bench/verdict -cfn-lint ~/.cache/refline-bench/cfn-lint/bin/cfn-lint FOLDER…
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	refline := flag.String("refline", "bin/refline", "the program to check")
	peer := flag.String("cfn-lint", "", "the program to compare with")
	cache := flag.String("cache", "", "file that keeps the peer's answers for the next run")
	list := flag.Bool("list", false, "print the templates with different verdicts")
	rules := flag.Bool("rules", false, "print the templates with different rules of errors, too")
	flag.Parse()
	if *peer == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: verdict -cfn-lint PROGRAM [-refline PROGRAM] [-cache FILE] [-list] [-rules] FOLDER…")
		os.Exit(2)
	}
	if err := compare(*refline, *peer, *cache, flag.Args(), *list, *rules); err != nil {
		fmt.Fprintln(os.Stderr, "bench/verdict:", err)
		os.Exit(1)
	}
}

// row counts the templates of one folder.
type row struct {
	name                         string
	all, same, ours, peers, rule int
}

func (r *row) add(other row) {
	r.all += other.all
	r.same += other.same
	r.ours += other.ours
	r.peers += other.peers
	r.rule += other.rule
}

func compare(refline, peer, cache string, folders []string, list, rules bool) error {
	refline, err := filepath.Abs(refline)
	if err != nil {
		return err
	}
	kept, err := openAnswers(cache)
	if err != nil {
		return err
	}
	total := row{name: "all"}
	var rows []row
	for _, folder := range folders {
		files, err := templates(folder)
		if err != nil {
			return err
		}
		ours, err := askRefline(refline, files)
		if err != nil {
			return err
		}
		theirs, err := kept.askPeer(peer, files)
		if err != nil {
			return err
		}
		r := row{name: filepath.Base(folder), all: len(files)}
		for _, file := range files {
			r.count(file, ours[file], theirs[file], list, rules)
		}
		rows = append(rows, r)
		total.add(r)
	}
	if total.all == 0 {
		return errors.New("no templates in these folders")
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "folder\ttemplates\tsame verdict\t\terror by refline only\terror by cfn-lint only\tsame rules\t")
	for _, r := range append(rows, total) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f %%\t%d\t%d\t%.1f %%\t\n", r.name, r.all, r.same, share(r.same, r.all), r.ours, r.peers, share(r.rule, r.all))
	}
	return w.Flush()
}

func share(part, all int) float64 { return 100 * float64(part) / float64(max(all, 1)) }

// count compares the rules of the errors that both found in a file.
func (r *row) count(file string, ours, theirs []string, list, rules bool) {
	sameRules := slices.Equal(ours, theirs)
	if sameRules {
		r.rule++
	}
	different := false
	switch {
	case len(ours) > 0 && len(theirs) == 0:
		r.ours++
		different = true
	case len(ours) == 0 && len(theirs) > 0:
		r.peers++
		different = true
	default:
		r.same++
	}
	if different && list || !sameRules && rules {
		fmt.Printf("%s\n  refline:  %s\n  cfn-lint: %s\n", file, words(ours), words(theirs))
	}
}

func words(rules []string) string {
	if len(rules) == 0 {
		return "no error"
	}
	return strings.Join(rules, " ")
}

// templates lists the files of a folder that look like templates.
func templates(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !slices.Contains([]string{".yaml", ".yml", ".json", ".template"}, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("AWSTemplateFormatVersion")) || bytes.Contains(text, []byte("Resources")) {
			absolute, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			files = append(files, absolute)
		}
		return nil
	})
	return files, err
}
