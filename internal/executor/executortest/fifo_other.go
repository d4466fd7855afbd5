//go:build !unix

package executortest

import (
	"errors"
	"os"
)

func mkfifo(string) error { return errors.ErrUnsupported }

func openFIFO(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func holders(*os.File) bool { return true }
