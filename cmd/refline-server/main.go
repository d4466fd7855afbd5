// Command refline-server runs the commands of refline that need what a server is made
// of: server, runner, demo, image, runtime. refline starts it.
package main

import (
	"os"

	"refline/internal/cli"
	"refline/internal/cli/serve"
)

func main() { os.Exit(serve.Main(os.Args[1:], cli.ProcessEnv())) }
