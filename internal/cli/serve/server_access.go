package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/server"
)

// newServerLinkCmd returns the command.
func newServerLinkCmd(e *cli.Env) *cobra.Command {
	o := cli.ConnectOptions{}
	cmd := &cobra.Command{
		Use: "link", Short: "Print a link that signs a browser in", Args: cli.NoArgs,
		Long: `Print a link that signs a browser in as you: once, and within ten minutes.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline server link",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			link, err := client.SignInLink(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.Stdout, client.URL()+link.Path)
			return err
		},
	}
	o.Bind(cmd)
	return cmd
}

// newServerKeyCmd returns the command.
func newServerKeyCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Change the key with which a server encrypts what is secret",
		Long: `Change the key with which a server encrypts variables and deploy keys. It is in the
file secret-keys of the data folder, or the one that --key-file or REFLINE_KEY_FILE
names.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline server key rotate",
	}
	cmd.AddCommand(newServerKeyRotateCmd(e), newServerKeyForgetCmd(e))
	return cmd
}

func newServerKeyRotateCmd(e *cli.Env) *cobra.Command {
	o := cli.ConnectOptions{}
	var keepOld bool
	cmd := &cobra.Command{
		Use: "rotate", Short: "Encrypt all that is secret with a new key", Args: cli.NoArgs,
		Long: `Make a new key, encrypt all that is secret with it, and remove the older keys from
the key file. A backup from before needs the older file: keep its copy. With several
servers on one database stop the others, give --keep-old, and start them with the new
file; rotate without it when all have it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline server key rotate",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			if err := client.RotateSecretKeys(cmd.Context(), !keepOld); err != nil {
				return err
			}
			e.Notef("all that is secret has a new key; copy the key file anew")
			return nil
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&keepOld, "keep-old", false, "leave the older keys in the file")
	return cmd
}

func newServerKeyForgetCmd(e *cli.Env) *cobra.Command {
	o := server.Options{}
	cmd := &cobra.Command{
		Use: "forget KEY", Short: "Remove what only a lost key can decrypt", Args: cli.OneArg("KEY"),
		Long: `Remove the variables and deploy keys that only a lost key can decrypt, so that the
server starts with another. It is the way out when the key file is lost and there is
no copy. The server that does not start names the KEY. Set the values again.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline server key forget 3f9c2ab417d0e655",
		RunE: func(cmd *cobra.Command, args []string) error {
			lost, err := forgetKey(cmd.Context(), e, o, args[0])
			if err != nil {
				return err
			}
			e.Notef("%d values removed that could not be read any more", lost)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", "", "folder of the server (default REFLINE_DATA, else the user's data folder)")
	f.StringVar(&o.Database, "database", e.Getenv("REFLINE_DATABASE"), "PostgreSQL of the server (REFLINE_DATABASE; default SQLite in the data folder)")
	f.StringVar(&o.KeyFile, "key-file", e.Getenv("REFLINE_KEY_FILE"), "key file of the server (REFLINE_KEY_FILE)")
	return cmd
}

func forgetKey(ctx context.Context, e *cli.Env, o server.Options, key string) (lost int64, err error) {
	if o.Data == "" {
		if o.Data, err = e.DataDir(); err != nil {
			return 0, err
		}
	} else {
		o.Data = e.Path(o.Data)
	}
	if o.Database == "" {
		if _, err := os.Stat(filepath.Join(o.Data, "refline.db")); err != nil {
			return 0, errs.E(errs.NotFound, "no server has its data in %s; name the folder: --data", o.Data)
		}
	}
	if o.KeyFile != "" {
		o.KeyFile = e.Path(o.KeyFile)
	}
	return server.ForgetKey(ctx, o, key)
}
