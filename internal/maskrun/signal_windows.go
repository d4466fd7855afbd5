package maskrun

import "os"

// passedOn are the signals that a command gets in our place: none, the console
// gives them to every process on it.
func passedOn() []os.Signal { return []os.Signal{os.Interrupt} }

func sentByTerminal(os.Signal) bool { return true }

func stopsUs(os.Signal) bool { return false }

func stopSelf() {}

func endedBySignal(*os.ProcessState) (int, bool) { return 0, false }
