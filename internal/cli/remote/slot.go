package remote

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

// NewSlotCmd returns the command.
func NewSlotCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "slot",
		Short: "List and set what a limited number of runs may have at a time",
		Long: `List and set slots: names for what a limited number of runs may have at a time, such
as a warehouse. A flow takes one by --slot; a run waits until all of its slots are
free. A slot that was not set has one place.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline slot set warehouse 4\n  refline flow set etl --slot warehouse\n  refline slot show warehouse",
	}
	cmd.AddCommand(newSlotSetCmd(e), newSlotListCmd(e), newSlotShowCmd(e), newSlotRemoveCmd(e))
	return cmd
}

func newSlotSetCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "set NAME MAX", Short: "Set how many runs may have a slot at a time", Args: cobra.ExactArgs(2),
		Long:    "Set how many runs may have a slot at a time; 0 is any number. Runs that wait and find\na place now start.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline slot set warehouse 4",
		RunE: func(cmd *cobra.Command, args []string) error {
			places, err := strconv.Atoi(args[1])
			if err != nil || places < 0 {
				return cli.Usagef("%q is not a number of places: give one from 1, or 0 for any number", args[1])
			}
			get := func(ctx context.Context, c *api.Client) (api.Slot, error) { return c.SetSlot(ctx, args[0], places) }
			return cli.Ask(cmd, e, o, get, func(s api.Slot) error {
				fmt.Fprintf(e.Stdout, "slot %s: %s\n", termview.Plain(s.Name), placesText(s))
				return nil
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

// placesText says how many of a slot's places are taken.
func placesText(s api.Slot) string {
	text := fmt.Sprintf("%d of %d taken", len(s.Holders), s.Max)
	if s.Max == 0 {
		text = fmt.Sprintf("%d taken, no limit", len(s.Holders))
	}
	if n := len(s.Waiting); n > 0 {
		text += fmt.Sprintf(", %d waiting", n)
	}
	return text
}

func newSlotListCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the slots", Args: cli.NoArgs,
		Long:    "List the slots that were set or that flows take.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline slot list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Slot, error) { return c.Slots(ctx) }
			return cli.Ask(cmd, e, o, get, func(list []api.Slot) error {
				if len(list) == 0 {
					e.Notef("no slots; make one: refline slot set NAME MAX, then refline flow set FLOW --slot NAME")
					return nil
				}
				rows := [][]string{{"slot", "places", "flows"}}
				for _, s := range list {
					rows = append(rows, []string{s.Name, placesText(s), strings.Join(s.Flows, ", ")})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newSlotShowCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show which runs have a slot and which wait for it", Args: cli.OneArg("NAME"),
		Long:    "Show which runs have a slot and which wait for it, the next first.\n\nExit codes: 0 good, 1 no such slot, 2 usage.",
		Example: "  refline slot show warehouse",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, c *api.Client) (api.Slot, error) { return c.Slot(ctx, args[0]) }
			return cli.Ask(cmd, e, o, get, func(s api.Slot) error {
				fmt.Fprintf(e.Stdout, "slot %s: %s\n", termview.Plain(s.Name), placesText(s))
				if len(s.Flows) > 0 {
					fmt.Fprintf(e.Stdout, "taken by %s\n", termview.Plain(termview.Names(s.Flows)))
				}
				var rows [][]string
				for i, h := range append(s.Holders, s.Waiting...) {
					state := "  holds"
					if i >= len(s.Holders) {
						state = "  waits"
					}
					rows = append(rows, []string{state, fmt.Sprintf("run %d", h.Run), cmp.Or(h.Flow, h.Project)})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newSlotRemoveCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a slot that no flow takes", Args: cli.OneArg("NAME"),
		Long:    "Remove a slot. One that a flow takes or a run has is refused.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline slot rm warehouse",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			return c.RemoveSlot(cmd.Context(), args[0])
		},
	}
	o.ConnectOptions.Bind(cmd)
	return cmd
}
