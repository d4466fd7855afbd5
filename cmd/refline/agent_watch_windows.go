package main

// watchOver does nothing here: no agent runs on Windows.
func watchOver(int, string) (release func()) { return func() {} }
