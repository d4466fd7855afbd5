package web

import "slices"

// pages are all pages. Each file with pages adds a line.
func pages() []page {
	return slices.Concat(
		overviewPages(),
		listPages(),
		flowPages(),
		logPages(),
		comparePages(),
		runPages(),
		planPages(),
		artifactPages(),
		preferencePages(),
	)
}
