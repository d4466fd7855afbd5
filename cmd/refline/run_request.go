package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/localrun"
)

// requestOf takes the flags that were given, in a form that can be parsed again.
// What is said of how a run is shown and of earlier runs is not part of it.
func requestOf(cmd *cobra.Command, dir string, jobs []string) localrun.Request {
	r := localrun.Request{Dir: dir, Jobs: jobs}
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
func (s *session) request() localrun.Request {
	r := s.o.request
	if s.o.File == "" && s.options.File != "" {
		r.Flags = append(slices.Clone(r.Flags), "--file="+s.options.File)
		r.Jobs = s.c.Named
	}
	return r
}
