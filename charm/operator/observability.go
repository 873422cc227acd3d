package operator

import (
	"maps"
	"slices"
	"strings"

	"jimm/charm/relation"
)

// charmName is metadata.yaml's.
const charmName = "juju-jimm-k8s"

// traceRatio is the part of traces to keep, as upstream's charm has it: a trace of
// each request of each client is more than most stores of them bear.
const traceRatio = "0.1"

// topology is who we are to the observability charms.
func (s *Snapshot) topology() relation.Topology {
	return relation.Topology{Model: s.Event.Model, ModelUUID: s.Event.ModelUUID, Application: s.Event.App, Charm: charmName}
}

func (p *planner) planMetrics() {
	for _, r := range p.on(endpointMetrics) {
		p.app(r, relation.Scrape{Port: internalPort, Path: "/metrics", Topology: p.topology(), Rules: alertRules()}.Bag())
		p.unit(r, relation.ScrapeUnit{Address: p.Address, Unit: p.Event.Unit, FQDN: p.fqdn()}.Bag())
	}
	for _, r := range p.on(endpointGrafana) {
		bag, err := relation.Dashboards{Topology: p.topology(), Files: dashboardFiles()}.Bag()
		if err != nil {
			p.find(Blocked, endpointGrafana, "%v", err)
			continue
		}
		p.app(r, bag)
	}
}

// planLogs has Pebble forward the log to every unit of Loki.
func (p *planner) planLogs() {
	for _, r := range p.on(endpointLogging) {
		p.app(r, relation.LokiRequest{Topology: p.topology()}.Bag())
		for _, unit := range slices.Sorted(maps.Keys(r.Units)) {
			loki, err := relation.ParseLokiUnit(r.Units[unit])
			if err != nil {
				p.find(Blocked, endpointLogging, "%s sends what cannot be used: %v", unit, err)
				continue
			}
			if loki.URL == "" {
				continue
			}
			topology := p.topology()
			topology.Unit = p.Event.Unit
			labels := map[string]any{"product": "Juju"}
			for name, value := range topology.Labels() {
				labels[name] = value
			}
			p.plan.LogTargets[logTarget(r.ID, unit)] = map[string]any{
				"override": "replace", "type": "loki", "location": loki.URL, "services": []any{"all"}, "labels": labels,
			}
		}
	}
	// A target cannot be taken out of Pebble's plan, but told to take nothing.
	for name := range p.Container.LogTargets {
		if _, wanted := p.plan.LogTargets[name]; !wanted && strings.HasPrefix(name, logTargetPrefix) {
			p.plan.LogTargets[name] = map[string]any{"override": "replace", "type": "loki", "location": "(removed)", "services": []any{"-all"}}
		}
	}
}

const logTargetPrefix = "loki-"

func logTarget(id, unit string) string {
	return logTargetPrefix + strings.NewReplacer("/", "-", ":", "-").Replace(id+"-"+unit)
}

func (p *planner) planTraces() {
	const protocol = "otlp_http"
	for _, r := range p.on(endpointTracing) {
		p.app(r, relation.TracingRequest{protocol}.Bag())
	}
	r, ok := p.one(endpointTracing)
	if !ok {
		return
	}
	answer, err := relation.ParseTracingAnswer(r.Theirs)
	if err != nil {
		p.find(Blocked, endpointTracing, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	if url := answer[protocol]; url != "" {
		p.set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", strings.TrimRight(url, "/")+"/v1/traces")
		p.set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
		p.set("OTEL_SERVICE_NAME", charmName)
		p.set("OTEL_TRACES_SAMPLE_RATIO", traceRatio)
	}
}
