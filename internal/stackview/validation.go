package stackview

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"refline/internal/stack"
)

// Validation writes what AWS sees in a valid template.
func Validation(w io.Writer, t *stack.Target, v stack.Validation) {
	fmt.Fprintf(w, "%s: valid\n", t.StackName)
	if len(v.Capabilities) > 0 {
		fmt.Fprintf(w, "  needs %s: %s\n", strings.Join(v.Capabilities, ", "), v.CapabilitiesReason)
		for _, c := range v.Capabilities {
			if !slices.Contains(t.Capabilities, c) && !(c == "CAPABILITY_IAM" && slices.Contains(t.Capabilities, "CAPABILITY_NAMED_IAM")) {
				fmt.Fprintf(w, "  add %s to capabilities: of stack %s\n", c, t.Name)
			}
		}
	}
	for _, p := range v.Parameters {
		value := ""
		if p.Default != "" {
			value = " (default " + p.Default + ")"
		}
		if p.NoEcho {
			value = " (not shown)"
		}
		fmt.Fprintf(w, "  parameter %s%s\n", p.Key, value)
	}
}
