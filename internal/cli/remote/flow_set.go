package remote

import (
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

func newFlowSetCmd(e *cli.Env) *cobra.Command {
	o := &struct {
		flowOptions
		flowLimits
		followTag bool
	}{}
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a flow's runtime, inputs and limits", Args: cobra.ExactArgs(1),
		Long:    "Change a flow. What is not given stays as it is; --input replaces all inputs.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline flow set hello --runtime python312 --concurrency 1 --when-busy skip",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			var in api.FlowChange
			changed := cmd.Flags().Changed
			if changed("runtime") {
				in.Runtime = &o.runtime
			}
			if changed("concurrency") {
				in.Concurrency = &o.concurrency
			}
			if changed("when-busy") {
				in.WhenBusy = &o.whenBusy
			}
			if changed("slot") {
				in.Slots = &o.slots
			}
			if changed("priority") {
				in.Priority = &o.priority
			}
			if changed("follow-tag") {
				in.FollowTag = &o.followTag
			}
			if changed("input") {
				inputs, err := ParseInputs(o.inputs)
				if err != nil {
					return err
				}
				in.Inputs = &inputs
			}
			after, err := client.SetFlow(cmd.Context(), f.Project, f.Name, in)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(after)
			}
			fmt.Fprintf(e.Stdout, "flow %s is version %d\n", termview.Plain(after.Name), after.Version)
			return nil
		},
	}
	o.flowOptions.bind(cmd)
	o.flowLimits.bind(cmd)
	cmd.Flags().BoolVar(&o.followTag, "follow-tag", false, "take a tag where it is at each run, also when it moves")
	return cmd
}
