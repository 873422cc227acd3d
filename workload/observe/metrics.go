package observe

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
)

// Family is a metric as the reference describes it.
type Family struct {
	Name, Type, Help string
	Labels           []string
}

// families are JIMM's metrics. Those that upstream JIMM has, too, have its names.
type families struct {
	list []Family

	authSuccess, authFailure, authLimited *prometheus.CounterVec

	dbDuration *prometheus.HistogramVec
	dbErrors   *prometheus.CounterVec

	openfgaDuration *prometheus.HistogramVec
	openfgaErrors   *prometheus.CounterVec

	secretsDuration *prometheus.HistogramVec
	secretsErrors   *prometheus.CounterVec

	callDuration *prometheus.HistogramVec
	callErrors   *prometheus.CounterVec
	pingDuration *prometheus.HistogramVec
	dialDuration *prometheus.HistogramVec
	dialErrors   *prometheus.CounterVec

	requestDuration             *prometheus.HistogramVec
	requestErrors               *prometheus.CounterVec
	modelsCreated, modelsFailed *prometheus.CounterVec
	httpDuration                *prometheus.HistogramVec

	workDuration *prometheus.HistogramVec
	workErrors   *prometheus.CounterVec
	workLast     *prometheus.GaugeVec

	dependencyUp      *prometheus.GaugeVec
	dependencyLatency *prometheus.GaugeVec

	leader, buildInfo *prometheus.GaugeVec
}

// The upper bounds of buckets, in seconds: near is for services of our own, far
// for what people and controllers wait for.
var (
	near = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	far  = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	// few is for what is kept for each method of each controller.
	few = []float64{.05, .25, 1, 5, 30}
)

func newFamilies(r prometheus.Registerer) families {
	var f families
	add := func(kind, name, help string, labels []string) string {
		f.list = append(f.list, Family{name, kind, help, labels})
		return name
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: add("counter", name, help, labels), Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: add("gauge", name, help, labels), Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	histogram := func(buckets []float64, name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: add("histogram", name, help, labels), Help: help, Buckets: buckets}, labels)
		r.MustRegister(v)
		return v
	}

	f.authSuccess = counter("jimm_auth_success_total", "Logins that succeeded, by method.", "method")
	f.authFailure = counter("jimm_auth_failure_total", "Logins that failed, by method; an expired session token is one.", "method")
	f.authLimited = counter("jimm_auth_rate_limited_total", "Logins that were refused because there were too many, by method.", "method")

	f.dbDuration = histogram(near, "jimm_db_query_duration_seconds", "Queries of PostgreSQL, by the method that makes them.", "method")
	f.dbErrors = counter("jimm_db_error_total", "Queries of PostgreSQL that failed; a violated constraint is no failure.", "method")

	f.openfgaDuration = histogram(near, "jimm_openfga_call_duration_seconds", "Questions to OpenFGA and writes, with their retries.", "method")
	f.openfgaErrors = counter("jimm_openfga_error_total", "Questions to OpenFGA and writes that failed.", "method")

	f.secretsDuration = histogram(near, "jimm_vault_call_duration_seconds", "Calls of the secrets' store: Vault, or sealed rows in PostgreSQL.", "method")
	f.secretsErrors = counter("jimm_vault_error_total", "Calls of the secrets' store that failed; a secret that is not there is no failure.", "method")

	f.callDuration = histogram(few, "jimm_juju_call_duration_seconds", "Calls that JIMM makes of controllers; not what passes through on model connections.", "facade", "method", "controller")
	f.callErrors = counter("jimm_juju_error_total", "Calls of controllers that failed; one that the controller refused with a code has been answered.", "facade", "method", "controller")
	f.pingDuration = histogram(few, "jimm_juju_ping_duration_seconds", "Pings of controllers.", "controller")
	f.dialDuration = histogram(few, "jimm_juju_dial_duration_seconds", "Connecting to controllers, without the login.", "controller")
	f.dialErrors = counter("jimm_juju_dial_error_total", "Controllers that could not be connected to.", "controller")

	f.requestDuration = histogram(far, "jimm_websocket_request_duration_seconds", "Requests on controller connections, by facade (type) and method (action); unknown ones count together.", "type", "action")
	f.requestErrors = counter("jimm_websocket_request_error_total", "Requests on controller connections that were answered with an error, by its code.", "type", "action", "code")
	f.modelsCreated = counter("jimm_websocket_models_created_total", "Models that were made.")
	f.modelsFailed = counter("jimm_websocket_models_created_fail_total", "Models that could not be made.")
	f.httpDuration = histogram(far, "jimm_http_request_duration_seconds", "HTTP requests; a websocket counts with its handshake, status 101.", "route", "method", "status_code")

	f.workDuration = histogram(far, "jimm_background_duration_seconds", "Runs of background work.", "work")
	f.workErrors = counter("jimm_background_error_total", "Runs of background work that did not complete.", "work")
	f.workLast = gauge("jimm_background_last_success_timestamp_seconds", "When background work last completed here; only the unit that leads does it.", "work")
	f.leader = gauge("jimm_leader", "1 on the unit that does the background work.")

	f.dependencyUp = gauge("jimm_dependency_up", "1 while what JIMM depends on answers: postgresql, openfga, secrets, issuer, groups (hook-service), controllers.", "dependency")
	f.dependencyLatency = gauge("jimm_dependency_latency_seconds", "How long the last look at a dependency took.", "dependency")

	f.buildInfo = gauge("jimm_build_info", "1, with the version and commit of JIMM.", "version", "commit")
	// Without labels, they are there from the start.
	f.leader.WithLabelValues()
	f.modelsCreated.WithLabelValues()
	f.modelsFailed.WithLabelValues()
	for _, method := range []string{"device", "token", "client-credentials", "basic"} {
		f.authSuccess.WithLabelValues(method)
		f.authFailure.WithLabelValues(method)
		f.authLimited.WithLabelValues(method)
	}
	return f
}

// Families returns all metrics of JIMM's own, in the order of the reference.
func (i *Instruments) Families() []Family { return i.list }

// Value adds a metric that is read when it is asked for. kind is counter or
// gauge; labels are pairs of a name and a value, the same names for all of one
// metric.
func (i *Instruments) Value(kind, name, help string, read func() float64, labels ...string) {
	constant := prometheus.Labels{}
	var labelNames []string
	for j := 0; j+1 < len(labels); j += 2 {
		constant[labels[j]] = labels[j+1]
		labelNames = append(labelNames, labels[j])
	}
	if kind == "counter" {
		i.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: constant}, read))
	} else {
		i.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: constant}, read))
	}
	for _, f := range i.list {
		if f.Name == name {
			return
		}
	}
	i.list = append(i.list, Family{name, kind, help, labelNames})
}

// Login runs a login, and counts and traces it.
func (i *Instruments) Login(ctx context.Context, method string, f func(context.Context) error) error {
	ctx, end := i.span(ctx, "jimm.login", internal, attribute.String("jimm.method", method))
	err := f(ctx)
	end(err)
	switch {
	case err == nil:
		i.authSuccess.WithLabelValues(method).Inc()
	case !gaveUp(err):
		i.authFailure.WithLabelValues(method).Inc()
	}
	return err
}

// LoginLimited counts a login that was refused because there were too many.
func (i *Instruments) LoginLimited(method string) { i.authLimited.WithLabelValues(method).Inc() }

// Leading says whether this unit does the background work.
func (i *Instruments) Leading(leading bool) {
	value := 0.0
	if leading {
		value = 1
	}
	i.leader.WithLabelValues().Set(value)
}

// Work measures and traces a run of background work.
func (i *Instruments) Work(ctx context.Context, work string, f func(context.Context) error) error {
	ctx, end := i.span(ctx, "jimm.work "+work, internal)
	began := time.Now()
	err := f(ctx)
	end(err)
	i.workDuration.WithLabelValues(work).Observe(time.Since(began).Seconds())
	failed := i.workErrors.WithLabelValues(work)
	switch {
	case err == nil:
		i.workLast.WithLabelValues(work).SetToCurrentTime()
	case !gaveUp(err):
		failed.Inc()
	}
	return err
}

// gaveUp reports whether an error only says that the caller went away.
func gaveUp(err error) bool { return errors.Is(err, context.Canceled) }
