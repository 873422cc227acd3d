// Command packcharm makes a .charm file out of the project's YAML files and a
// dispatch program, as `make charm` does.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"jimm/charm/pack"
)

func main() {
	o := pack.Options{}
	flag.StringVar(&o.Root, "root", ".", "folder with metadata.yaml, config.yaml and actions.yaml")
	flag.StringVar(&o.Dispatch, "dispatch", "bin/dispatch", "the program that Juju runs")
	flag.StringVar(&o.Arch, "arch", runtime.GOARCH, "what dispatch is built for")
	out := flag.String("o", "bin/juju-jimm-k8s.charm", "file to write")
	flag.Parse()
	if err := pack.Charm(*out, o); err != nil {
		fmt.Fprintln(os.Stderr, "packcharm:", err)
		os.Exit(1)
	}
	fmt.Println(*out)
}
