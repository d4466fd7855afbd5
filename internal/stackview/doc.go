// Package stackview writes what is known of stacks as text for a terminal.
//
// Each function writes one result and returns once it is written; [Live] follows
// an operation. Text that comes from a cloud cannot control the terminal: it is
// shown by [planfile.Plain].
//
// It does not know flags, configuration files or a cloud.
package stackview
