package stack

import (
	"context"

	"refline/internal/errs"
)

// deniedCloud does not let stacks be seen.
type deniedCloud struct{ *memory }

func (deniedCloud) Stack(context.Context, string) (Stack, error) {
	return Stack{}, errs.E(errs.Denied, "not authorized to perform: cloudformation:DescribeStacks")
}
