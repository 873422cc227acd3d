// Command hooktool is every hook tool, by the name that it is called by: it asks
// the simulator over the socket that Juju's own tools would ask the agent over.
package main

import (
	"fmt"
	"io"
	"net/rpc"
	"os"
	"path/filepath"
	"slices"

	"jimm/charm/simulator"
)

func main() {
	call := simulator.ToolCall{Context: os.Getenv("JUJU_CONTEXT_ID"), Tool: filepath.Base(os.Args[0]), Args: os.Args[1:]}
	if slices.Contains(call.Args, "--file") && slices.Contains(call.Args, "-") {
		stdin, err := io.ReadAll(os.Stdin)
		if err != nil {
			fail(err)
		}
		call.Stdin = stdin
	}
	client, err := rpc.Dial("unix", os.Getenv("JUJU_AGENT_SOCKET_ADDRESS"))
	if err != nil {
		fail(err)
	}
	var reply simulator.ToolReply
	if err := client.Call("Tools.Run", call, &reply); err != nil {
		fail(err)
	}
	_, _ = os.Stdout.Write(reply.Stdout)
	_, _ = os.Stderr.WriteString(reply.Stderr)
	os.Exit(reply.Code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "ERROR", err)
	os.Exit(1)
}
