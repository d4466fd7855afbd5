package web

import "slices"

// pages are all pages. Each file with pages adds a line.
func pages() []page {
	return slices.Concat(
		overviewPages(),
		listPages(),
		projectPages(),
		projectSettingsPages(),
		hookPages(),
		lintPages(),
		variablePages(),
		keyPages(),
		settingsPages(),
		tokenPages(),
		notifyPages(),
		runnerPages(),
		runtimePages(),
		slotPages(),
		schedulePages(),
		flowPages(),
		logPages(),
		comparePages(),
		runPages(),
		planPages(),
		artifactPages(),
		preferencePages(),
	)
}
