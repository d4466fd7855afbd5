package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/backup"
	"refline/internal/blob"
	"refline/internal/blob/s3"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/server"
	"refline/internal/store"
	"refline/internal/termview"
)

// keptOptions say where a server keeps its things, for commands that work on them
// without the server.
type keptOptions struct {
	config string
	blobs  string
	json   bool
	server.Options
}

func (o *keptOptions) bind(e *cli.Env, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", e.Getenv("REFLINE_CONFIG"), "YAML file with these settings by the names of the flags (REFLINE_CONFIG)")
	f.StringVar(&o.Data, "data", "", "folder of the server (default REFLINE_DATA, else the user's data folder)")
	f.StringVar(&o.Database, "database", "", "PostgreSQL of the server, as postgres://USER@HOST/DATABASE (default SQLite in the data folder)")
	f.StringVar(&o.blobs, "blobs", "", "where artifacts and caches are kept, as s3://BUCKET/PREFIX?endpoint=…&region=… (default in the data folder)")
	f.StringVar(&o.KeyFile, "key-file", "", "file with the keys of encrypted values (default secret-keys in the data folder)")
	f.BoolVar(&o.json, "json", false, "print as JSON")
}

func (o *keptOptions) settle(e *cli.Env, cmd *cobra.Command) error {
	if err := cli.Settings(e, cmd, o.config); err != nil {
		return err
	}
	o.Version = cli.Version
	if o.KeyFile != "" {
		o.KeyFile = e.Path(o.KeyFile)
	}
	if o.Data != "" {
		o.Data = e.Path(o.Data)
		return nil
	}
	var err error
	o.Data, err = e.DataDir()
	return err
}

// open opens the database and the blobs; end closes both.
func (o *keptOptions) open(ctx context.Context, database func(context.Context, string) (*store.Store, error)) (s *store.Store, blobs blob.Store, end func() error, err error) {
	if s, err = database(ctx, server.Database(o.Options)); err != nil {
		return nil, nil, nil, err
	}
	end = s.Close
	if o.blobs != "" {
		blobs, err = s3.Open(ctx, o.blobs)
	} else {
		var f *blob.Folder
		if f, err = blob.OpenFolder(server.BlobFolder(o.Data)); err == nil {
			blobs, end = f, func() error { return errors.Join(f.Close(), s.Close()) }
		}
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, end())
	}
	return s, blobs, end, nil
}

func newServerBackupCmd(e *cli.Env) *cobra.Command {
	o := &keptOptions{}
	var withKey bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write all that a server keeps into one file", Args: cli.OneArg("FILE"),
		Long: `Write all that a server keeps into one file: database, artifacts, caches and logs. The
server may work meanwhile; the backup is of one moment. Run it where the server runs,
with the server's settings. "-" is standard output.

The key file that decrypts variables and deploy keys is left out, unless --with-key says
so: keep its copy elsewhere. refline server restore reads the file into an empty server,
also from SQLite into PostgreSQL or back.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline server backup /backup/refline-2026-11-22.tar.gz
  refline server backup - | ssh backup.example.com 'cat > refline.tar.gz'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.settle(e, cmd); err != nil {
				return err
			}
			return runBackup(cmd.Context(), e, o, args[0], withKey)
		},
	}
	o.bind(e, cmd)
	cmd.Flags().BoolVar(&withKey, "with-key", false, "put the key file into the backup too: who has the backup can then read all secrets")
	return cmd
}

func runBackup(ctx context.Context, e *cli.Env, o *keptOptions, to string, withKey bool) (err error) {
	if o.Database == "" {
		if _, err := os.Stat(server.Database(o.Options)); err != nil {
			return errs.E(errs.NotFound, "no server has its data in %s; name the folder (--data) or the database (--database)", o.Data)
		}
	}
	s, blobs, end, err := o.open(ctx, store.OpenCurrent)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	from := backup.Source{Store: s, Blobs: blobs, Logs: server.LogFolder(o.Data), Version: cli.Version, Now: time.Now}
	if withKey {
		from.KeyFile = server.KeyFile(o.Options)
	}
	var sum backup.Summary
	write := func(w io.Writer) (err error) {
		sum, err = backup.Write(ctx, w, from)
		return err
	}
	if to == "-" {
		err = write(e.Stdout)
	} else {
		err = writeWhole(e.Path(to), write)
	}
	if err != nil {
		return err
	}
	if o.json && to != "-" {
		return e.PrintJSON(sum)
	}
	e.Notef("%s of the database, %s, %s, %s before compression", termview.Count(int(sum.Rows), "row"), termview.Count(int(sum.Blobs), "artifact or cache"), termview.Count(int(sum.Logs), "log"), termview.ByteSize(sum.Bytes))
	if len(sum.Keys) > 0 && !sum.HasKey {
		e.Notef("it has encrypted values and not their key: keep a copy of %s elsewhere", server.KeyFile(o.Options))
	}
	return nil
}

// writeWhole writes a new file that is there whole or not at all.
func writeWhole(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errs.E(errs.Conflict, "%s is there already; name another file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".backup-*")
	if err != nil {
		return errs.E(errs.Unavailable, "write the backup: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func newServerRestoreCmd(e *cli.Env) *cobra.Command {
	o := &keptOptions{}
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Read a backup into an empty server", Args: cli.OneArg("FILE"),
		Long: `Read a backup into an empty data folder, or an empty PostgreSQL database, before the
server is started there. "-" is standard input. The key file must be in its place, unless
the backup has it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline server restore /backup/refline-2026-11-22.tar.gz --data /var/lib/refline
  refline server restore refline.tar.gz --database postgres://refline@db/refline --key-file secret-keys`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.settle(e, cmd); err != nil {
				return err
			}
			return runRestore(cmd.Context(), e, o, args[0])
		},
	}
	o.bind(e, cmd)
	return cmd
}

func runRestore(ctx context.Context, e *cli.Env, o *keptOptions, from string) (err error) {
	in := e.Stdin
	if from != "-" {
		f, err := os.Open(e.Path(from))
		if err != nil {
			return errs.E(errs.NotFound, "the backup: %w", err)
		}
		defer f.Close()
		in = f
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return errs.E(errs.Unavailable, "the data folder: %w", err)
	}
	unlock, err := server.Lock(o.Data)
	if err != nil {
		return err
	}
	defer unlock()
	s, blobs, end, err := o.open(ctx, store.Open)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	sum, err := backup.Read(ctx, in, backup.Target{Store: s, Blobs: blobs, Logs: server.LogFolder(o.Data), KeyFile: server.KeyFile(o.Options)})
	if err != nil {
		return err
	}
	if o.json {
		return e.PrintJSON(sum)
	}
	fmt.Fprintf(e.Stdout, "restored the backup of %s: %s, %s, %s\n", sum.Created.Local().Format("2006-01-02 15:04"), termview.Count(int(sum.Rows), "row"), termview.Count(int(sum.Blobs), "artifact or cache"), termview.Count(int(sum.Logs), "log"))
	return nil
}
