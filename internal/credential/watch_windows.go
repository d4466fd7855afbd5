package credential

// Watch does nothing here: no agent runs on Windows.
type Watch struct{}

// WatchOver does nothing here.
func WatchOver(string) *Watch { return &Watch{} }

// Command does nothing here.
func (*Watch) Command(int) {}

// Release does nothing here.
func (*Watch) Release() {}
