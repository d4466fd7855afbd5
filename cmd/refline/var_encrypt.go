package main

import (
	"fmt"
	"slices"

	"refline/internal/secretsource"
	"refline/internal/termview"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

func newVarEncryptCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	var recipients []string
	cmd := &cobra.Command{
		Use:   "encrypt",
		Short: "Encrypt the file of variables with age, for you and others",
		Long: `Encrypt the file of variables with age, to your own key and to those of --recipient.
Your key is made at first use and kept in refline's state folder; its public half is
printed for others to add. In CI the key is in the variable REFLINE_VARIABLES_KEY,
or in the file that it names.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var encrypt --file team.yml.age --recipient age1…",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own, err := e.Secrets().OwnRecipient()
			if err != nil {
				return err
			}
			var path string
			var keys int
			err = e.Secrets().ChangeVariables(cmd.Context(), o.Variables, func(v *secretsource.VariableFile) error {
				for _, r := range append([]string{own}, recipients...) {
					if !slices.Contains(v.Recipients, r) {
						v.Recipients = append(v.Recipients, r)
					}
				}
				path, keys = v.Path, len(v.Recipients)
				return nil
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(e.Stdout, own)
			e.Notef("%s opens for %s", path, termview.Count(keys, "key"))
			return nil
		},
	}
	o.bind(cmd)
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "a public key that opens the file too: age1…")
	return cmd
}
