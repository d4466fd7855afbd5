package choice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"refline/internal/errs"
)

// onHost is whether jobs of a project that want an image may run on this
// computer itself. The answer is a file of the project in the state folder.
type onHost struct {
	allowed bool
	file    string
	project string
}

// hostAnswer is what the file holds.
type hostAnswer struct {
	Project  string `json:"project"`  // its folder, or the address of its repository
	Executor string `json:"executor"` // process
}

func openOnHost(state, project string) (onHost, error) {
	sum := sha256.Sum256([]byte(project))
	h := onHost{file: filepath.Join(state, "executors", hex.EncodeToString(sum[:8])+".json"), project: project}
	b, err := os.ReadFile(h.file)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, errs.E(errs.Denied, "read where jobs of this project run: %w", err)
	}
	var a hostAnswer
	// An unreadable answer is not a yes: the question is asked again.
	h.allowed = json.Unmarshal(b, &a) == nil && a.Project == project && a.Executor == "process"
	return h, nil
}

// allow keeps the answer yes.
func (h *onHost) allow() error {
	b, err := json.Marshal(hostAnswer{Project: h.project, Executor: "process"})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(h.file), 0o700)
	}
	if err == nil {
		err = os.WriteFile(h.file, append(b, '\n'), 0o600)
	}
	if err != nil {
		return errs.E(errs.Denied, "keep where jobs of this project run: %w", err)
	}
	h.allowed = true
	return nil
}
