package remote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

// NewScheduleCmd returns the command.
func NewScheduleCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "List and set the times at which flows run by themselves",
		Long: `List and set the times at which the flows of a server run by themselves. A flow can
have several schedules. Where the clock changes, a time of day that does not exist
fires at the first instant after it, and one that comes twice fires once.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline schedule add hello --cron '0 6 * * *' --timezone Europe/Berlin
  refline schedule next -n 10 hello
  refline schedule list`,
	}
	cmd.AddCommand(newScheduleAddCmd(e), newScheduleListCmd(e), newScheduleNextCmd(e), newSchedulePauseCmd(e, "pause", true), newSchedulePauseCmd(e, "resume", false),
		newScheduleRemoveCmd(e))
	return cmd
}

// scheduleFlags say when a flow runs.
type scheduleFlags struct {
	cron, every, timezone, catchUp string
}

func (o *scheduleFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.cron, "cron", "", "five fields: minute, hour, day of month, month, day of week")
	f.StringVar(&o.every, "every", "", "an interval, as 15m, 6h or 1d, from now on")
	f.StringVar(&o.timezone, "timezone", "", "time zone of --cron and of the dates of runs, as Europe/Berlin (default UTC)")
	f.StringVar(&o.catchUp, "catch-up", "", "what becomes of times that pass while the server is down or the schedule paused: none, last or all (default none)")
}

// given reports whether a schedule is asked for.
func (o *scheduleFlags) given() bool { return o.cron != "" || o.every != "" }

func (o *scheduleFlags) input() (api.ScheduleInput, error) {
	in := api.ScheduleInput{Cron: o.cron, Timezone: o.timezone, CatchUp: o.catchUp}
	switch {
	case o.cron == "" && o.every == "":
		return in, cli.Usagef("when? --cron '0 6 * * *' for each day at 06:00, or --every 15m")
	case o.cron != "" && o.every != "":
		return in, cli.Usagef("--cron and --every exclude each other; a flow can have several schedules, one each")
	case o.every != "":
		span, err := parseSpan(o.every)
		if err != nil {
			return in, cli.Usagef("--every %q: %v", o.every, err)
		}
		in.Every = int64(span / time.Second)
	}
	return in, nil
}

// parseSpan reads a span of time: as Go writes it, or in days or weeks.
func parseSpan(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n := len(text); n > 1 && units[text[n-1]] > 0 {
		days, err := strconv.ParseInt(text[:n-1], 10, 32)
		unit := units[text[n-1]]
		if err == nil && days > 0 && days <= int64(100*366*24*time.Hour/unit) {
			return time.Duration(days) * unit, nil
		}
	}
	span, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("not a span of time; it looks like 90s, 15m, 6h, 1d or 2w")
	case span < time.Second || span%time.Second != 0:
		return 0, fmt.Errorf("want a whole number of seconds, as 90s, 15m, 6h, 1d or 2w")
	}
	return span, nil
}

func newScheduleAddCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	when := &scheduleFlags{}
	var inputs []string
	cmd := &cobra.Command{
		Use: "add FLOW (--cron FIELDS | --every SPAN)", Short: "Add a schedule to a flow", Args: cli.OneArg("FLOW"),
		Long: `Add a schedule to a flow. The flow is compiled as its next run will be, so an input
that is missing or wrong is reported now. A run has the date that it is for as
REFLINE_LOGICAL_DATE (2026-11-22T06:00:00+01:00) and REFLINE_LOGICAL_DAY (2026-11-22),
in the schedule's time zone; a value of --input may name them.

Exit codes: 0 added, 1 error, 2 usage.`,
		Example: `  refline schedule add hello --cron '0 6 * * *' --timezone Europe/Berlin
  refline schedule add etl --cron '30 2 * * 1-5' --catch-up all --input day='$REFLINE_LOGICAL_DAY'
  refline schedule add probe --every 15m`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := when.input()
			if err != nil {
				return err
			}
			if in.Inputs, err = ParseInputs(inputs); err != nil {
				return err
			}
			c, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			n, err := c.AddSchedule(cmd.Context(), f.Project, f.Name, in)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(n)
			}
			fmt.Fprintf(e.Stdout, "schedule %d of %s: %s\n%s", n.ID, termview.Plain(f.Name), whenText(n), nextLines(n.Next))
			if f.Paused {
				e.Notef("the flow is paused; to let it run: refline flow resume %s", termview.ShellWord(f.Name))
			}
			return nil
		},
	}
	o.bind(cmd)
	when.bind(cmd)
	cmd.Flags().StringArrayVar(&inputs, "input", nil, "NAME=VALUE of its runs, above those of the flow; repeatable")
	return cmd
}

// whenText says when a schedule fires.
func whenText(n api.Schedule) string {
	text := fmt.Sprintf("%s %s", n.Cron, n.Timezone)
	if n.Cron == "" {
		text = "every " + spanText(time.Duration(n.Every)*time.Second)
	}
	if n.CatchUp != "none" {
		text += ", catches up " + n.CatchUp
	}
	return termview.Plain(text)
}

// spanText writes a span without parts that are zero.
func spanText(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// zoned writes a time in its own zone.
func zoned(t time.Time) string { return t.Format("Mon 2006-01-02 15:04:05 -07:00") }

func nextLines(times []time.Time) string {
	text := ""
	for _, t := range times {
		text += "  " + zoned(t) + "\n"
	}
	return text
}

func newScheduleListCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "list [FLOW]", Short: "List the schedules, of all flows or of one", Args: cobra.MaximumNArgs(1),
		Long:    "List the schedules with their next time, of all flows or of one.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline schedule list\n  refline schedule list hello --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := o.schedules(cmd, e, args, 1)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(list)
			}
			if len(list) == 0 {
				e.Notef("no schedules; add one: refline schedule add FLOW --cron '0 6 * * *'")
				return nil
			}
			rows := [][]string{{"schedule", "flow", "when", "next"}}
			for _, n := range list {
				rows = append(rows, []string{fmt.Sprint(n.ID), n.Flow, whenText(n), nextText(n)})
			}
			return e.PrintTable(rows)
		},
	}
	o.bind(cmd)
	return cmd
}

func nextText(n api.Schedule) string {
	switch {
	case n.Paused:
		return fmt.Sprintf("paused; refline schedule resume %d", n.ID)
	case len(n.Next) == 0:
		return "never"
	}
	return zoned(n.Next[0])
}

// schedules lists those of the flow that args name, or of all.
func (o *flowOptions) schedules(cmd *cobra.Command, e *cli.Env, args []string, times int) ([]api.Schedule, error) {
	if len(args) == 0 {
		c, err := o.Connect(e)
		if err != nil {
			return nil, err
		}
		return c.Schedules(cmd.Context(), o.project, "", times)
	}
	c, f, err := o.find(cmd.Context(), e, args[0])
	if err != nil {
		return nil, err
	}
	return c.Schedules(cmd.Context(), f.Project, f.Name, times)
}

func newScheduleNextCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	var n int
	cmd := &cobra.Command{
		Use: "next FLOW", Short: "Show the next times at which a flow runs", Args: cli.OneArg("FLOW"),
		Long:    "Show the next times at which a flow runs by its schedules, each in the schedule's\ntime zone, with its offset from UTC.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline schedule next -n 10 hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 || n > 200 {
				return cli.Usagef("-n wants a number from 1 to 200")
			}
			list, err := o.schedules(cmd, e, args, n)
			if err != nil {
				return err
			}
			times := nextOf(list, n)
			if o.JSON {
				return e.PrintJSON(times)
			}
			if len(times) == 0 {
				e.Notef("%s runs at no time by itself; add a schedule: refline schedule add %s --cron '0 6 * * *'", args[0], termview.ShellWord(args[0]))
			}
			rows := [][]string{}
			for _, t := range times {
				rows = append(rows, []string{zoned(t.Time), fmt.Sprintf("schedule %d", t.Schedule)})
			}
			return e.PrintTable(rows)
		},
	}
	o.bind(cmd)
	cmd.Flags().IntVarP(&n, "number", "n", 10, "how many")
	return cmd
}

// nextTime is a time at which a schedule fires.
type nextTime struct {
	Time     time.Time `json:"time"`
	Schedule int64     `json:"schedule"`
}

// nextOf merges the next times of schedules that are not paused.
func nextOf(list []api.Schedule, n int) []nextTime {
	out := []nextTime{}
	for _, s := range list {
		if s.Paused {
			continue
		}
		for _, t := range s.Next {
			out = append(out, nextTime{t, s.ID})
		}
	}
	slices.SortFunc(out, func(a, b nextTime) int { return a.Time.Compare(b.Time) })
	return out[:min(n, len(out))]
}

func newSchedulePauseCmd(e *cli.Env, verb string, paused bool) *cobra.Command {
	o := &cli.ConnectOptions{}
	what := "Pause a schedule"
	long := "Pause a schedule. The flow's other schedules go on."
	if !paused {
		what = "Let a schedule go on"
		long = "Let a schedule go on. What was due meanwhile follows its --catch-up."
	}
	cmd := &cobra.Command{
		Use: verb + " SCHEDULE", Short: what, Args: cli.OneArg("SCHEDULE"),
		Long:    long + "\n\nExit codes: 0 good, 1 no such schedule, 2 usage.",
		Example: "  refline schedule " + verb + " 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := idArg("schedule", args[0])
			if err != nil {
				return err
			}
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			n, err := c.SetSchedule(cmd.Context(), id, api.ScheduleChange{Paused: &paused})
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "schedule %d of %s: %s\n", n.ID, termview.Plain(n.Flow), nextText(n))
			return nil
		},
	}
	o.Bind(cmd)
	return cmd
}

func newScheduleRemoveCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	cmd := &cobra.Command{
		Use: "rm SCHEDULE", Short: "Remove a schedule", Args: cli.OneArg("SCHEDULE"),
		Long:    "Remove a schedule by its number; its runs stay.\n\nExit codes: 0 good, 1 no such schedule, 2 usage.",
		Example: "  refline schedule rm 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := idArg("schedule", args[0])
			if err != nil {
				return err
			}
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			return c.RemoveSchedule(cmd.Context(), id)
		},
	}
	o.Bind(cmd)
	return cmd
}

// idArg reads the number of something that the server keeps.
func idArg(what, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, cli.Usagef("%q is not the number of a %s; list them: refline %s list", text, what, what)
	}
	return id, nil
}
