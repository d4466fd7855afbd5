package remote

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/termview"
)

// NewServerStatusCmd returns the command.
func NewServerStatusCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "status", Short: "Show how a server does", Args: cli.NoArgs,
		Long:    "Show how a server does: versions, what waits and why, runners, disk by kind, database.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline server status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(s)
			}
			return printStatus(e, c.URL(), s)
		},
	}
	o.Bind(cmd)
	return cmd
}

func printStatus(e *cli.Env, url string, s api.Status) error {
	versions := s.Version
	if s.Version != cli.Version {
		versions += ", this command " + cli.Version
	}
	database := s.Database.Kind
	if s.Database.Bytes > 0 {
		database += ", " + termview.ByteSize(s.Database.Bytes)
	}
	var parts []string
	for _, c := range []struct {
		n    int64
		word string
	}{{s.Runs.Running, "running"}, {s.Runs.Waiting, "waiting"}, {s.Runs.Manual, "waiting for a person"}} {
		parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
	}
	fields := [][2]string{{"server", url}, {"public URL", s.URL}, {"version", versions}, {"started", cli.Ago(s.Started)}, {"database", database}, {"runs", strings.Join(parts, ", ")}}
	name := "queue"
	for _, q := range s.Queue {
		fields = append(fields, [2]string{name, fmt.Sprintf("%s: %d", q.Reason, q.Count)})
		name = " "
	}
	if len(s.Queue) == 0 {
		fields = append(fields, [2]string{name, "nothing waits"})
	}
	name = "runners"
	for _, r := range s.Runners {
		fields = append(fields, [2]string{name, fmt.Sprintf("%s: %s, %s", r.Name, RunnerState(r), termview.Count(len(r.Jobs), "job"))})
		name = " "
	}
	if len(s.Runners) == 0 {
		fields = append(fields, [2]string{name, "none"})
	}
	name = "disk"
	for _, d := range s.Disk {
		size := termview.ByteSize(d.Bytes)
		if d.Partial {
			size = "more than " + size
		}
		fields = append(fields, [2]string{name, d.Kind + " " + size})
		name = " "
	}
	if r := s.Room; r != nil {
		text := termview.ByteSize(r.Free) + " free"
		if r.Low {
			text += ", less than the " + termview.ByteSize(r.Mark) + " of --min-free: no job starts until there is room"
		}
		fields = append(fields, [2]string{name, text})
	}
	return e.PrintFields(fields)
}

// NewServerCheckCmd returns the command.
func NewServerCheckCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "check", Short: "Verify the state of a server", Args: cli.NoArgs,
		Long: `Verify the state of a server by the rules that hold between turns: a pending job is
in the queue, a running one has a runner, no slot has more holders than places. While
runs go on a rule may not hold for a moment; check again.

Exit codes: 0 all rules hold, 1 one does not or error, 2 usage.`,
		Example: "  refline server check",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			k, err := c.Check(cmd.Context())
			if err != nil {
				return err
			}
			if o.JSON {
				if err := e.PrintJSON(k); err != nil {
					return err
				}
			}
			if len(k.Broken) == 0 {
				if !o.JSON {
					fmt.Fprintln(e.Stdout, "all rules hold")
				}
				return nil
			}
			for _, line := range k.Broken {
				if !o.JSON {
					fmt.Fprintln(e.Stdout, termview.Plain(line))
				}
			}
			return errs.E(errs.Conflict, "%s; if it is so again, report it with the server's log", termview.Count(len(k.Broken), "broken rule"))
		},
	}
	o.Bind(cmd)
	return cmd
}

// NewAuditCmd returns the command.
func NewAuditCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "See who did what on a server",
		Long:    "See who did what on a server: tokens, variables, keys, sign-ins and their uses.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline audit list -n 100",
	}
	o := &cli.QueryOptions{}
	var project string
	var n int
	list := &cobra.Command{
		Use: "list", Short: "List who did what, newest first", Args: cli.NoArgs,
		Long:    "List who did what, newest first. Values are never part of it.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline audit list -n 100\n  refline audit list --project data/flows --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 {
				return cli.Usagef("-n wants a number from 1")
			}
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			events := []api.AuditEvent{}
			for cursor := ""; len(events) < n; {
				page, err := c.Audit(cmd.Context(), project, cursor, min(n, 200))
				if err != nil {
					return err
				}
				events = append(events, page.Events...)
				if cursor = page.Cursor; cursor == "" {
					break
				}
			}
			events = events[:min(n, len(events))]
			if o.JSON {
				return e.PrintJSON(events)
			}
			rows := [][]string{{"time", "by", "did", "to", "project", "detail"}}
			for _, x := range events {
				rows = append(rows, []string{x.At.Local().Format("2006-01-02 15:04:05"), x.Actor, x.Action, x.Object, x.Project, x.Detail})
			}
			return e.PrintTable(rows)
		},
	}
	o.Bind(list)
	list.Flags().StringVar(&project, "project", "", "what concerns this project")
	list.Flags().IntVarP(&n, "number", "n", 50, "how many")
	cmd.AddCommand(list)
	return cmd
}

func RunnerState(r api.Runner) string {
	state := "online"
	if !r.Online {
		state = "offline, seen " + cli.Ago(r.Seen)
		if r.Seen.IsZero() {
			state = "offline, never seen"
		}
	}
	if r.Draining {
		state += ", draining"
	}
	if r.Protected {
		state += ", protected"
	}
	return state
}
