package cli

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"refline/internal/errs"
)

// settingVariable is the variable that stands for a flag: REFLINE_PUBLIC_URL.
func settingVariable(flag string) string {
	return "REFLINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Settings fills the flags of a command that are not given: from the environment,
// else from the file that --config names, whose keys are the names of the flags.
func Settings(e *Env, cmd *cobra.Command, file string) error {
	kept, err := readSettings(e, cmd, file)
	if err != nil {
		return err
	}
	var failed []error
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "config" || f.Name == "help" {
			return
		}
		values, from := kept[f.Name], file
		if v := e.Getenv(settingVariable(f.Name)); v != "" {
			values, from = []string{v}, settingVariable(f.Name)
		}
		for _, v := range values {
			if err := f.Value.Set(v); err != nil {
				failed = append(failed, errs.E(errs.Invalid, "%s: %s: %w", from, f.Name, err))
			}
		}
	})
	return errors.Join(failed...)
}

// readSettings reads a YAML file of names and values.
func readSettings(e *Env, cmd *cobra.Command, file string) (map[string][]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(e.Path(file))
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, errs.E(errs.Invalid, "%s: %w", file, err)
	}
	out := map[string][]string{}
	if len(doc.Content) == 0 {
		return out, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, errs.E(errs.Invalid, "%s:%d: want names and values, as listen: 127.0.0.1:7400", file, root.Line)
	}
	var known []string
	note := func(f *pflag.Flag) { known = append(known, f.Name) }
	cmd.LocalNonPersistentFlags().VisitAll(note)
	if cmd.HasParent() { // refline server backup reads the server's file
		cmd.Parent().LocalNonPersistentFlags().VisitAll(note)
	}
	var failed []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value) || key.Value == "config" || key.Value == "help":
			failed = append(failed, errs.E(errs.Invalid, "%s:%d: no setting %q%s", file, key.Line, key.Value, DidYouMean(key.Value, known)))
		case value.Kind == yaml.ScalarNode:
			out[key.Value] = []string{value.Value}
		case value.Kind == yaml.SequenceNode:
			for _, item := range value.Content {
				if item.Kind != yaml.ScalarNode {
					failed = append(failed, errs.E(errs.Invalid, "%s:%d: %s: want a list of texts", file, item.Line, key.Value))
					continue
				}
				out[key.Value] = append(out[key.Value], item.Value)
			}
		default:
			failed = append(failed, errs.E(errs.Invalid, "%s:%d: %s: want a text or a list of texts", file, value.Line, key.Value))
		}
	}
	return out, errors.Join(failed...)
}
