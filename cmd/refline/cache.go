package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/cache"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/termview"
	"refline/internal/workspace"
)

func newCacheCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "List and remove what jobs cached on this computer",
		Long:  "List and remove what jobs cached on this computer by cache:.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: `  refline cache list
  refline cache clear`,
	}
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "List the caches", Args: cli.NoArgs,
		Long:    "List the caches with their size and when each was used last.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline cache list",
		RunE: func(*cobra.Command, []string) error {
			caches, err := openCaches(e)
			if err != nil {
				return err
			}
			entries, err := caches.List()
			if err != nil {
				return err
			}
			if asJSON {
				return e.PrintJSON(append([]cache.Info{}, entries...))
			}
			if len(entries) == 0 {
				e.Notef("nothing is cached")
				return nil
			}
			rows := [][]string{{"project", "key", "files", "size", "last used"}}
			for _, c := range entries {
				rows = append(rows, []string{c.Project, c.Key, fmt.Sprint(c.Files), termview.ByteSize(c.Bytes), c.Used.Local().Format(time.DateTime)})
			}
			for _, line := range termview.Align(rows) {
				fmt.Fprintln(e.Stdout, line)
			}
			return nil
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	var everything bool
	clear := &cobra.Command{
		Use: "clear", Short: "Remove every cache", Args: cli.NoArgs,
		Long: `Remove every cache of every project. With --all also what Refline itself keeps to
be fast: mirrors of repositories, prepared checkouts, Python environments.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline cache clear\n  refline cache clear --all",
		RunE: func(*cobra.Command, []string) error {
			if everything {
				dir, err := e.CacheDir()
				if err != nil {
					return err
				}
				return workspace.Remove(dir)
			}
			caches, err := openCaches(e)
			if err != nil {
				return err
			}
			n, bytes, err := caches.Clear("", "")
			if err != nil {
				return err
			}
			e.Notef("%s removed, %s", termview.Count(n, "cache"), termview.ByteSize(bytes))
			return nil
		},
	}
	clear.Flags().BoolVar(&everything, "all", false, "remove mirrors and environments too")
	cmd.AddCommand(list, clear, newCacheRmCmd(e))
	return cmd
}

func newCacheRmCmd(e *cli.Env) *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:   "rm KEY…",
		Short: "Remove caches by their keys",
		Long: `Remove caches by the keys that refline cache list shows, of every project or with
--project of one.

Exit codes: 0 good, 1 no such cache or error, 2 usage.`,
		Example: "  refline cache rm node-modules-1a2b\n  refline cache rm default --project /src/flows",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || slices.Contains(args, "") {
				return cli.Usagef("rm wants a KEY; refline cache list shows them")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, keys []string) error {
			caches, err := openCaches(e)
			if err != nil {
				return err
			}
			entries, err := caches.List()
			if err != nil {
				return err
			}
			var known []string
			for _, c := range entries {
				if project == "" || c.Project == project {
					known = append(known, c.Key)
				}
			}
			for _, key := range keys {
				if !slices.Contains(known, key) {
					return errs.E(errs.NotFound, "no cache %q%s; refline cache list shows them", key, cli.DidYouMean(key, known))
				}
			}
			for _, key := range keys {
				n, bytes, err := caches.Clear(project, key)
				if err != nil {
					return err
				}
				e.Notef("%s removed, %s", termview.Count(n, "cache"), termview.ByteSize(bytes))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "only of this project")
	return cmd
}

// cacheLimit bounds what all caches together take; the longest unused go first.
const cacheLimit = 20 << 30

func openCaches(e *cli.Env) (*cache.Folder, error) {
	dir, err := e.CacheDir()
	if err != nil {
		return nil, err
	}
	return cache.NewFolder(filepath.Join(dir, "caches"), cacheLimit), nil
}
