package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/errs"
)

// DataDir is where a server of this computer keeps what it knows.
func (e *Env) DataDir() (string, error) {
	return e.userDir("REFLINE_DATA", "XDG_DATA_HOME", filepath.Join(".local", "share"), os.UserConfigDir)
}

// ServerFile is written by a server that runs, for commands on this computer.
const ServerFile = "server.json"

// RunningServer is what the file says.
type RunningServer struct {
	URL     string `json:"url"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// ConnectOptions say which server a command speaks to.
type ConnectOptions struct {
	Server string
}

// Bind adds its flags.
func (o *ConnectOptions) Bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.Server, "server", "", "address of the server (default REFLINE_URL, else the one of refline login, else the one on this computer)")
}

// QueryOptions are those of a command that prints what a server answers.
type QueryOptions struct {
	ConnectOptions
	JSON bool
}

// Bind adds their flags.
func (o *QueryOptions) Bind(cmd *cobra.Command) {
	o.ConnectOptions.Bind(cmd)
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print as JSON")
}

// Ask asks the server, and prints its answer by print, or as JSON if that is wanted.
func Ask[T any](cmd *cobra.Command, e *Env, o *QueryOptions, ask func(context.Context, *api.Client) (T, error), print func(T) error) error {
	client, err := o.Connect(e)
	if err != nil {
		return err
	}
	answer, err := ask(cmd.Context(), client)
	if err != nil {
		return err
	}
	if o.JSON {
		return e.PrintJSON(answer)
	}
	return print(answer)
}

// Connect finds the server and a token for it. A token never is an argument: it
// comes from REFLINE_TOKEN, from refline login, or from the data folder of the
// server on this computer.
func (o ConnectOptions) Connect(e *Env) (*api.Client, error) {
	url := o.Server
	if url == "" {
		url = e.Getenv("REFLINE_URL")
	}
	logins, err := ReadLogins(e)
	if err != nil {
		return nil, err
	}
	if url == "" {
		url = logins.Default
	}
	if url != "" {
		token := e.Getenv("REFLINE_TOKEN")
		if token == "" {
			token = logins.Tokens[strings.TrimRight(url, "/")]
		}
		if token == "" {
			if dir, running, err := o.local(e); err == nil && running.URL == strings.TrimRight(url, "/") {
				return OwnerClient(dir, running)
			}
			return nil, errs.E(errs.Denied, "no token for %s; sign in: refline login %s, or set REFLINE_TOKEN", url, url)
		}
		return api.NewClient(url, token, nil)
	}
	dir, running, err := o.local(e)
	if err != nil {
		return nil, err
	}
	return OwnerClient(dir, running)
}

// local finds the server of this computer.
func (ConnectOptions) local(e *Env) (dir string, running RunningServer, err error) {
	if dir, err = e.DataDir(); err != nil {
		return dir, running, err
	}
	text, err := os.ReadFile(filepath.Join(dir, ServerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, running, errs.E(errs.NotFound, "no server: start one here with refline server, or sign in to another with refline login URL")
	}
	if err == nil {
		err = json.Unmarshal(text, &running)
	}
	if err != nil {
		return dir, running, errs.E(errs.Unavailable, "the file of the running server: %w", err)
	}
	return dir, running, nil
}

// OwnerClient uses the token that only the owner of the data folder can read.
func OwnerClient(dir string, running RunningServer) (*api.Client, error) {
	token, err := os.ReadFile(filepath.Join(dir, "owner-token"))
	if err != nil {
		return nil, errs.E(errs.Denied, "the server's token for this computer: %w; sign in with refline login %s", err, running.URL)
	}
	return api.NewClient(running.URL, strings.TrimSpace(string(token)), nil)
}

// logins are the servers that this user has signed in to.
type logins struct {
	Default string            `json:"default,omitempty"`
	Tokens  map[string]string `json:"tokens,omitempty"` // by address
}

func loginsFile(e *Env) (string, error) {
	dir, err := e.StateDir()
	return filepath.Join(dir, "logins.json"), err
}

// ReadLogins reads the servers that this user has signed in to.
func ReadLogins(e *Env) (logins, error) {
	l := logins{Tokens: map[string]string{}}
	path, err := loginsFile(e)
	if err != nil {
		return l, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return l, errs.E(errs.Invalid, "%s: %w; remove it and sign in again: refline login URL", path, err)
	}
	if l.Tokens == nil {
		l.Tokens = map[string]string{}
	}
	return l, nil
}

// Write keeps the list, readable for this user only.
func (l logins) Write(e *Env) error {
	path, err := loginsFile(e)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
