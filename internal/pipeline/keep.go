package pipeline

// Keeps decides artifacts:when and cache:when: whether a job with this result
// keeps its files. Without a value a job keeps them when it succeeds.
func (w When) Keeps(failed bool) bool {
	switch w {
	case WhenAlways:
		return true
	case WhenOnFailure:
		return failed
	default:
		return !failed
	}
}
