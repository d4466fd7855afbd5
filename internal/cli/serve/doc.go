// Package serve holds the commands that are a server or a runner: server with backup
// and restore, runner, demo.
package serve
