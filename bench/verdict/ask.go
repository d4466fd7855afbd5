package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
)

// askRefline returns the rules of the errors in each file, sorted, each once.
func askRefline(program string, files []string) (map[string][]string, error) {
	result := map[string][]string{}
	for batch := range slices.Chunk(files, 200) {
		var found []struct {
			Level, File, Rule string
		}
		if err := ask(&found, program, append([]string{"stack", "lint", "--json", "--"}, batch...)...); err != nil {
			return nil, err
		}
		for _, f := range found {
			if f.Level == "error" {
				note(result, f.File, f.Rule)
			}
		}
	}
	return result, nil
}

// answers keeps what cfn-lint said of a template, by the sum of its text.
type answers struct {
	file string
	kept map[string][]string
}

func openAnswers(file string) (*answers, error) {
	a := &answers{file: file, kept: map[string][]string{}}
	if file == "" {
		return a, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	return a, json.Unmarshal(text, &a.kept)
}

func (a *answers) askPeer(program string, files []string) (map[string][]string, error) {
	version, err := exec.Command(program, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", program, err)
	}
	keys := map[string]string{}
	var left []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(slices.Concat(version, []byte(file), text))
		keys[file] = hex.EncodeToString(sum[:])
		if _, ok := a.kept[keys[file]]; !ok {
			left = append(left, file)
		}
	}
	for batch := range slices.Chunk(left, 40) {
		found, err := askCfnLint(program, batch)
		if err != nil {
			return nil, err
		}
		for _, file := range batch {
			a.kept[keys[file]] = append([]string{}, found[file]...)
		}
		if err := a.save(); err != nil {
			return nil, err
		}
	}
	result := map[string][]string{}
	for _, file := range files {
		result[file] = a.kept[keys[file]]
	}
	return result, nil
}

func (a *answers) save() error {
	if a.file == "" {
		return nil
	}
	text, err := json.Marshal(a.kept)
	if err != nil {
		return err
	}
	return os.WriteFile(a.file, text, 0o644)
}

// askCfnLint checks a batch at once. A template that makes cfn-lint crash takes its
// batch along, so the templates of such a batch are checked one by one.
func askCfnLint(program string, files []string) (map[string][]string, error) {
	var found []struct {
		Filename, Level string
		Rule            struct{ ID string }
	}
	err := ask(&found, program, append([]string{"--format", "json", "--"}, files...)...)
	if err != nil && len(files) == 1 {
		fmt.Fprintln(os.Stderr, "left out:", err)
		return map[string][]string{files[0]: {"crash"}}, nil
	}
	result := map[string][]string{}
	if err != nil {
		for _, file := range files {
			one, err := askCfnLint(program, []string{file})
			if err != nil {
				return nil, err
			}
			result[file] = one[file]
		}
		return result, nil
	}
	for _, f := range found {
		if f.Level == "Error" {
			note(result, f.Filename, f.Rule.ID)
		}
	}
	return result, nil
}

// ask runs a program and reads its findings from its output. The exit code does not
// count: both programs fail when they find errors.
func ask(found any, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if err := json.Unmarshal(out.Bytes(), found); err != nil {
		return fmt.Errorf("%s of %d files, %s: %w: %s", program, len(args), args[len(args)-1], err, problems.String())
	}
	return nil
}

func note(result map[string][]string, file, rule string) {
	if at, ok := slices.BinarySearch(result[file], rule); !ok {
		result[file] = slices.Insert(result[file], at, rule)
	}
}
