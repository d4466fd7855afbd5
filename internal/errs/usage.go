package errs

// UsageError is an Invalid error of a command line or a request: its parts do
// not make sense together, whatever is on the other side.
type UsageError struct{ err error }

func (e UsageError) Error() string { return e.err.Error() }
func (e UsageError) Unwrap() error { return e.err }

// Usage returns a [UsageError].
func Usage(format string, args ...any) error { return UsageError{E(Invalid, format, args...)} }
