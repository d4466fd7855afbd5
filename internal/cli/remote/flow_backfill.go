package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

type backfillOptions struct {
	flowOptions
	from, to, every, cron, timezone string
	parallel                        int
	again                           bool
	inputs                          []string
}

func newFlowBackfillCmd(e *cli.Env) *cobra.Command {
	o := &backfillOptions{}
	cmd := &cobra.Command{
		Use:   "backfill NAME --from DATE --to DATE",
		Short: "Run a flow for each date of a range",
		Long: `Run a flow for each date of a range, the first and the last included. A run has its
date as REFLINE_LOGICAL_DATE and REFLINE_LOGICAL_DAY; a value of --input may name
them. A date for which the flow has run, or will, is left out unless --again is given.

The dates are those of --every or --cron, else those of the flow's schedule if it has
one with a cron expression, else days.

Exit codes: 0 begun, 1 error, 2 usage.`,
		Example: `  refline flow backfill etl --from 2026-11-01 --to 2026-11-10 -j 4
  refline flow backfill etl --from 2026-11-01 --to 2026-11-10 --input day='$REFLINE_LOGICAL_DAY'
  refline flow backfill probe --from 2026-11-01T00:00 --to 2026-11-01T12:00 --every hour
  refline flow backfill list`,
		Args: cli.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return runBackfill(cmd.Context(), e, o, args[0]) },
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "the first date, as 2026-11-01 or 2026-11-01T06:00")
	f.StringVar(&o.to, "to", "", "the last date; a day without a time of day is meant whole")
	f.StringVar(&o.every, "every", "", "hour, day, week or month, from --from on; or a span of time, as 15m")
	f.StringVar(&o.cron, "cron", "", "the dates by a cron expression")
	f.StringVar(&o.timezone, "timezone", "", "time zone of the dates (default: that of the flow's schedule, else UTC)")
	f.IntVarP(&o.parallel, "parallel", "j", 1, "runs at the same time")
	f.BoolVar(&o.again, "again", false, "also dates for which the flow has run")
	f.StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE of its runs, above those of the flow; repeatable")
	cmd.MarkFlagsMutuallyExclusive("every", "cron")
	cmd.AddCommand(newBackfillListCmd(e), newBackfillShowCmd(e), newBackfillCancelCmd(e), newBackfillResumeCmd(e))
	return cmd
}

func runBackfill(ctx context.Context, e *cli.Env, o *backfillOptions, name string) error {
	switch {
	case o.from == "" || o.to == "":
		return cli.Usagef("which dates? --from 2026-11-01 --to 2026-11-10")
	case o.parallel < 1 || o.parallel > 100:
		return cli.Usagef("-j wants a number from 1 to 100")
	}
	inputs, err := ParseInputs(o.inputs)
	if err != nil {
		return err
	}
	c, f, err := o.find(ctx, e, name)
	if err != nil {
		return err
	}
	in, err := o.input(f.Schedules)
	if err != nil {
		return err
	}
	in.Inputs = inputs
	b, err := c.AddBackfill(ctx, f.Project, f.Name, in)
	if err != nil {
		return err
	}
	if o.JSON {
		return e.PrintJSON(b)
	}
	fmt.Fprintf(e.Stdout, "backfill %d of %s: %s, %s, %d at a time\n  see it: refline flow backfill show %d\n", b.ID, termview.Plain(f.Name),
		termview.Count(b.Total, "date"), datesText(b), b.Parallel, b.ID)
	return nil
}

// input finds the dates that are meant.
func (o *backfillOptions) input(schedules []api.Schedule) (api.BackfillInput, error) {
	in := api.BackfillInput{Timezone: o.timezone, Cron: o.cron, Parallel: o.parallel, Again: o.again}
	if len(schedules) == 1 && in.Timezone == "" {
		in.Timezone = schedules[0].Timezone
	}
	if in.Timezone == "" {
		in.Timezone = "UTC"
	}
	zone, err := time.LoadLocation(in.Timezone)
	if err != nil || in.Timezone == "Local" {
		return in, cli.Usagef("--timezone %q is not a time zone; it looks like Europe/Berlin", in.Timezone)
	}
	if in.From, _, err = parseDate(o.from, zone); err != nil {
		return in, cli.Usagef("--from %v", err)
	}
	var whole bool
	if in.To, whole, err = parseDate(o.to, zone); err != nil {
		return in, cli.Usagef("--to %v", err)
	}
	if in.To.Before(in.From) {
		return in, cli.Usagef("--to %s is before --from %s", o.to, o.from)
	}
	if whole {
		in.To = in.To.AddDate(0, 0, 1).Add(-time.Second)
	}
	clock := fmt.Sprintf("%d %d", in.From.Minute(), in.From.Hour())
	switch every := o.every; {
	case in.Cron != "":
	case every == "" && len(schedules) == 1 && schedules[0].Cron != "":
		in.Cron = schedules[0].Cron
	case every == "" || every == "day":
		in.Cron = clock + " * * *"
	case every == "week":
		in.Cron = fmt.Sprintf("%s * * %d", clock, in.From.Weekday())
	case every == "month":
		in.Cron = fmt.Sprintf("%s %d * *", clock, in.From.Day())
	case every == "hour":
		in.Every = 3600
	default:
		span, err := parseSpan(every)
		if err != nil {
			return in, cli.Usagef("--every %q: want hour, day, week, month, or a span of time as 15m or 6h", every)
		}
		in.Every = int64(span / time.Second)
	}
	return in, nil
}

// parseDate reads a date in a time zone; whole says that it is a day.
func parseDate(text string, zone *time.Location) (at time.Time, whole bool, err error) {
	if at, err = time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return at, true, nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err = time.ParseInLocation(form, text, zone); err == nil {
			return at, false, nil
		}
	}
	return at, false, fmt.Errorf("%q is not a date; it looks like 2026-11-01 or 2026-11-01T06:00", text)
}

// datesText says which dates a backfill has.
func datesText(b api.Backfill) string {
	rule := b.Cron
	if rule == "" {
		rule = "every " + spanText(time.Duration(b.Every)*time.Second)
	}
	return fmt.Sprintf("%s to %s, %s %s", b.From.Format("2006-01-02 15:04"), b.To.Format("2006-01-02 15:04"), rule, b.Timezone)
}

// progressText says how far a backfill is.
func progressText(b api.Backfill) string {
	d := b.Dates
	if d == nil {
		return ""
	}
	text := fmt.Sprintf("%d of %d succeeded", d.Succeeded, b.Total)
	for _, part := range []struct {
		n    int
		word string
	}{{d.Running, "running"}, {d.Failed, "failed"}, {d.Canceled, "canceled"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return text
}

func newBackfillListCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "list [NAME]", Short: "List the last backfills, of all flows or of one", Args: cobra.MaximumNArgs(1),
		Long:    "List the last 100 backfills, newest first, of all flows or of one.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline flow backfill list etl",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			project, flow := "", ""
			if err == nil && len(args) > 0 {
				var f api.Flow
				_, f, err = o.find(cmd.Context(), e, args[0])
				project, flow = f.Project, f.Name
			}
			if err != nil {
				return err
			}
			list, err := c.Backfills(cmd.Context(), project, flow)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(list)
			}
			if len(list) == 0 {
				e.Notef("no backfills; begin one: refline flow backfill NAME --from DATE --to DATE")
				return nil
			}
			rows := [][]string{{"backfill", "flow", "state", "dates", "progress"}}
			for _, b := range list {
				rows = append(rows, []string{fmt.Sprint(b.ID), b.Flow, b.State, datesText(b), progressText(b)})
			}
			return e.PrintTable(rows)
		},
	}
	o.bind(cmd)
	return cmd
}

func newBackfillShowCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "show BACKFILL", Short: "Show how far a backfill is", Args: cli.OneArg("BACKFILL"),
		Long:    "Show how far a backfill is, and the dates whose run could not be made.\n\nExit codes: 0 good, 1 no such backfill, 2 usage.",
		Example: "  refline flow backfill show 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := o.backfill(e, args[0])
			if err != nil {
				return err
			}
			b, err := c.Backfill(cmd.Context(), id)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(b)
			}
			again := ""
			if b.Again {
				again = "yes"
			}
			err = e.PrintFields([][2]string{
				{"backfill", fmt.Sprint(b.ID)}, {"flow", b.Flow}, {"project", b.Project}, {"state", b.State}, {"dates", datesText(b)}, {"progress", progressText(b)},
				{"at a time", fmt.Sprint(b.Parallel)}, {"again", again}, {"inputs", inputsText(b.Inputs)}, {"begun", fmt.Sprintf("by %s, %s", b.Actor, cli.Ago(b.Created))},
			})
			for _, f := range b.Failures {
				fmt.Fprintf(e.Stdout, "  %s has no run: %s\n", zoned(f.Date), termview.Plain(f.Error))
			}
			return err
		},
	}
	o.bind(cmd)
	return cmd
}

func (o *flowOptions) backfill(e *cli.Env, arg string) (*api.Client, int64, error) {
	id, err := idArg("flow backfill", arg)
	if err != nil {
		return nil, 0, err
	}
	c, err := o.Connect(e)
	return c, id, err
}

func newBackfillCancelCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	var runs bool
	cmd := &cobra.Command{
		Use: "cancel BACKFILL", Short: "Make no more runs of a backfill", Args: cli.OneArg("BACKFILL"),
		Long:    "Make no more runs of a backfill. Runs under way go on unless --runs is given.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline flow backfill cancel 7 --runs",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := o.backfill(e, args[0])
			if err != nil {
				return err
			}
			if err := c.CancelBackfill(cmd.Context(), id, runs); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "backfill %d is canceled; to go on: refline flow backfill resume %d\n", id, id)
			return nil
		},
	}
	o.ConnectOptions.Bind(cmd)
	cmd.Flags().BoolVar(&runs, "runs", false, "cancel its runs that are under way too")
	return cmd
}

func newBackfillResumeCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "resume BACKFILL", Short: "Go on with a canceled backfill", Args: cli.OneArg("BACKFILL"),
		Long:    "Go on with a canceled backfill where it was.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline flow backfill resume 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := o.backfill(e, args[0])
			if err != nil {
				return err
			}
			return c.ResumeBackfill(cmd.Context(), id)
		},
	}
	o.ConnectOptions.Bind(cmd)
	return cmd
}
