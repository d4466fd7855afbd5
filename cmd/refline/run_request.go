package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/errs"
	"refline/internal/history"
)

// runRequest is what a run was asked for, so that it can be asked again. Secrets
// are in it by name only: a command line never has them.
type runRequest struct {
	Dir   string   `json:"dir"`
	Flags []string `json:"flags,omitempty"`
	Jobs  []string `json:"jobs,omitempty"`
}

const requestFile = "request.json"

// requestOf takes the flags that were given, in a form that can be parsed again.
// What is said of how a run is shown and of earlier runs is not part of it.
func requestOf(cmd *cobra.Command, dir string, jobs []string) runRequest {
	r := runRequest{Dir: dir, Jobs: jobs}
	global := cmd.InheritedFlags()
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "artifacts-from", "shell", "keep", "log", "json":
			return
		}
		if global.Lookup(f.Name) != nil {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				r.Flags = append(r.Flags, "--"+f.Name+"="+v)
			}
			return
		}
		r.Flags = append(r.Flags, "--"+f.Name+"="+f.Value.String())
	})
	return r
}

// request is what this run was asked for, with the file that a word named.
func (s *session) request() runRequest {
	r := s.o.request
	if s.o.file == "" && s.options.file != "" {
		r.Flags = append(slices.Clone(r.Flags), "--file="+s.options.file)
		r.Jobs = s.c.named
	}
	return r
}

func (r runRequest) write(store history.Store, run int64) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(store.Folder(run), requestFile), data, 0o600)
}

func readRequest(store history.Store, run int64) (r runRequest, err error) {
	data, err := os.ReadFile(filepath.Join(store.Folder(run), requestFile))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, errs.E(errs.NotFound, "what run %d was asked for is not kept; start it anew: refline run", run)
	}
	return r, nil
}
