package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long something may take before a person is told of it.
const patience = time.Second

// Progress tells whoever looks at the terminal what is waited for, from a
// second on. The function that it returns ends that, and clears the line; it may be
// called again.
func (j *JAAS) Progress(what string) (done func()) {
	if !isTerminal(j.Stderr) {
		return func() {}
	}
	return progress(j.Stderr, what, patience)
}

func progress(w io.Writer, what string, every time.Duration) (done func()) {
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		started, shown := time.Now(), false
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				if shown {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-ticker.C:
				shown = true
				fmt.Fprintf(w, "\r\x1b[K%s, %d s", what, int(time.Since(started).Seconds()))
			}
		}
	})
	return sync.OnceFunc(func() { close(stop); running.Wait() })
}
