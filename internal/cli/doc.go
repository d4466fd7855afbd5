// Package cli is what commands share: their environment, output, usage errors, and the
// way to a server. The commands themselves are in cmd/refline (this computer),
// cli/remote (what a server does) and cli/serve (server, runner, demo).
package cli
