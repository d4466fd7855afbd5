package localrun

import (
	"encoding/json"
	"os"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/history"
)

// Request is what a run was asked for, so that it can be asked again. Secrets
// are in it by name only: a command line never has them.
type Request struct {
	Dir   string   `json:"dir"`
	Flags []string `json:"flags,omitempty"`
	Jobs  []string `json:"jobs,omitempty"`
}

const requestFile = "request.json"

// Write keeps the request in the folder of a run.
func (r Request) Write(store history.Store, run int64) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(store.Folder(run), requestFile), data, 0o600)
}

// ReadRequest reads what an earlier run was asked for.
func ReadRequest(store history.Store, run int64) (r Request, err error) {
	data, err := os.ReadFile(filepath.Join(store.Folder(run), requestFile))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, errs.E(errs.NotFound, "what run %d was asked for is not kept; start it anew: refline run", run)
	}
	return r, nil
}
