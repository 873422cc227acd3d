package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"jimm/workload/config"
	"jimm/workload/server"
	"jimm/workload/trust"
)

// reloader reads the configuration again when the process gets SIGHUP, and
// applies what can change while the server runs.
type reloader struct {
	file   string
	loaded *config.Loaded
	level  *slog.LevelVar
	roots  *trust.Roots
	jimm   *server.Server
	log    *slog.Logger
}

// atOnce are the settings that need no restart.
var atOnce = []string{"JIMM_LOG_LEVEL", "JIMM_ADMINS", "CORS_ALLOWED_ORIGINS"}

// start waits for signals until ctx ends or stop is called.
func (r *reloader) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				r.reload(ctx)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}

func (r *reloader) reload(ctx context.Context) {
	next, err := config.Load(os.Environ(), r.file)
	if err != nil {
		r.log.Error("the configuration stays as it was: what was read again is not good", "problems", strings.Split(err.Error(), "\n"))
		return
	}
	// What the file of certificates says may have changed, though its name has not.
	if err := r.roots.Reload(); err != nil {
		r.log.Error("what was trusted stays trusted", "error", err)
	}
	if err := r.jimm.Reconfigure(ctx, next.Admins, next.Origins); err != nil {
		r.log.Error("cannot make administrators", "error", err)
	}
	r.level.Set(next.LogLevel)
	changed := r.loaded.Changed(next)
	slices.Sort(changed)
	var restart []string
	for _, name := range changed {
		if !slices.Contains(atOnce, name) {
			restart = append(restart, name)
		}
	}
	r.log.Info("read the configuration again", "changed", changed)
	if len(restart) > 0 {
		r.log.Warn("some changes of the configuration need a restart", "settings", restart)
	}
	// What needs a restart is not in force: it is named again next time.
	for i, s := range r.loaded.Settings {
		if j := slices.IndexFunc(next.Settings, func(n config.Setting) bool { return n.Name == s.Name }); j >= 0 && slices.Contains(atOnce, s.Name) {
			r.loaded.Settings[i] = next.Settings[j]
		}
	}
}
