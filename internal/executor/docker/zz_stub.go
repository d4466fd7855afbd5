package docker

import (
	"context"

	"refline/internal/errs"
	"refline/internal/executor"
)

type Options struct{ Getenv func(string) string }
type Executor struct{ executor.Executor }

func New(context.Context, Options) (*Executor, error) { return nil, errs.E(errs.Unavailable, "no engine") }
func (e *Executor) Describe() string                   { return "" }
