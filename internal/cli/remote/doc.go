// Package remote holds the commands that ask a server: flows, projects, runs,
// schedules, runtimes, tokens. They know the API's client and nothing behind it.
package remote
