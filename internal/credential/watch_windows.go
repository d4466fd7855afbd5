package credential

// WatchOver does nothing here: no agent runs on Windows.
func WatchOver(int, string) (release func()) { return func() {} }
