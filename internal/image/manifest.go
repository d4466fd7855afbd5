package image

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// Where an image has what it was built for.
const (
	Folder       = "/refline"
	SourceFolder = Folder + "/src"       // the files of the commit
	manifestFile = Folder + "/flow.json" // a [Manifest]
	runFile      = Folder + "/run"       // runs a flow with the shell of the image
	sbomFile     = Folder + "/sbom.spdx.json"
)

// manifestVersion is the newest form of a manifest that this program reads.
const manifestVersion = 1

// Manifest says what an image holds. It is the file /refline/flow.json there.
type Manifest struct {
	Version int    `json:"version"`
	Source  Source `json:"source"`
	Flows   []Flow `json:"flows"` // the first is the default
	// Definition is what the flows are compiled from without the repository.
	Definition json.RawMessage `json:"definition,omitempty"`
}

// Source is the commit whose files the image has.
type Source struct {
	Repository string    `json:"repository"` // without credentials
	Commit     string    `json:"commit"`
	RefKind    string    `json:"ref_kind,omitempty"`
	Ref        string    `json:"ref,omitempty"`
	Time       time.Time `json:"time"`
}

// Flow is a file of the commit that runs.
type Flow struct {
	Name string `json:"name"`
	Path string `json:"path"` // in the repository
	// Command starts a script from the root of the files, for a shell; empty for a
	// pipeline, which needs Refline.
	Command string            `json:"command,omitempty"`
	Env     map[string]string `json:"env,omitempty"` // of Command; its values are for a shell in double quotes
	Inputs  map[string]string `json:"inputs,omitempty"`
}

// Flow finds a flow by its path, or by its name; "" is the default.
func (m *Manifest) Flow(name string) (Flow, error) {
	if name == "" {
		return m.Flows[0], nil
	}
	clean := strings.TrimPrefix(path.Clean(name), "/")
	for _, f := range m.Flows {
		if f.Path == clean || f.Name == name {
			return f, nil
		}
	}
	var paths []string
	for _, f := range m.Flows {
		paths = append(paths, f.Path)
	}
	return Flow{}, errs.E(errs.NotFound, "the image has no flow %q; it has: %s", name, strings.Join(paths, ", "))
}

// check reports what makes a manifest unusable. It may come from anywhere.
func (m *Manifest) check() error {
	switch {
	case m.Version < 1 || m.Version > manifestVersion:
		return errs.E(errs.Invalid, "its %s has version %d, and this program reads up to %d; a newer Refline built it", manifestFile, m.Version, manifestVersion)
	case len(m.Flows) == 0:
		return errs.E(errs.Invalid, "its %s names no flow", manifestFile)
	case slices.ContainsFunc(m.Flows, func(f Flow) bool { return f.Name == "" || f.Path == "" }):
		return errs.E(errs.Invalid, "its %s has a flow without a name or path", manifestFile)
	}
	return nil
}
