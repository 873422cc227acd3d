package observe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jimm/workload/estate"
)

// Counts is what the estate is counted with.
type Counts interface {
	Controllers(ctx context.Context, states ...estate.ControllerState) ([]estate.Controller, error)
	CountModels(ctx context.Context) (map[string]int, error)
}

// Estate shows how large the estate is, and which controllers answer. All units
// show the same.
func (i *Instruments) Estate(c Counts, log *slog.Logger) {
	e := &counting{i: i, counts: c, log: log, known: map[string]bool{}}
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		i.list = append(i.list, Family{name, "gauge", help, labels})
		return prometheus.NewDesc(name, help, labels, nil)
	}
	e.controllers = describe("jimm_system_controller_count", "Controllers of the estate.")
	e.models = describe("jimm_system_model_count", "Models of the estate, by the controller they are on.", "controller")
	e.available = describe("jimm_system_controller_available", "1 while a controller answers.", "controller")
	i.registry.MustRegister(e)
}

// countingAge is how old counts may be.
const countingAge = 10 * time.Second

type counting struct {
	i      *Instruments
	counts Counts
	log    *slog.Logger

	controllers, models, available *prometheus.Desc

	mu      sync.Mutex
	counted time.Time
	last    []prometheus.Metric
	// known are the names of the controllers there were.
	known map[string]bool
}

// Describe implements prometheus.Collector.
func (c *counting) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.controllers, c.models, c.available} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *counting) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.counted) >= countingAge {
		// What cannot be counted is not shown, and does not spoil the rest.
		c.last = c.count()
		c.counted = time.Now()
	}
	for _, m := range c.last {
		out <- m
	}
}

func (c *counting) count() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	controllers, err := c.counts.Controllers(ctx)
	var models map[string]int
	if err == nil {
		models, err = c.counts.CountModels(ctx)
	}
	if err != nil {
		c.log.Warn("cannot count the estate", "error", err)
		return nil
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	metrics := []prometheus.Metric{gauge(c.controllers, float64(len(controllers)))}
	now := map[string]bool{}
	for _, controller := range controllers {
		answers := 0.0
		if controller.UnavailableSince.IsZero() {
			answers = 1
		}
		now[controller.Name] = true
		metrics = append(metrics,
			gauge(c.models, float64(models[controller.UUID]), controller.Name),
			gauge(c.available, answers, controller.Name))
	}
	for name := range c.known {
		if !now[name] {
			c.i.forget(name)
		}
	}
	c.known = now
	return metrics
}

// forget drops what was measured about a controller that is gone.
func (i *Instruments) forget(controller string) {
	labels := prometheus.Labels{"controller": controller}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{i.callDuration, i.callErrors, i.pingDuration, i.dialDuration, i.dialErrors} {
		v.DeletePartialMatch(labels)
	}
}
