// Package observability has what Prometheus and Grafana are to know about JIMM.
package observability

import "embed"

// Files has the rule files of prometheus/ and the dashboards of grafana/.
//
//go:embed prometheus/*.yaml grafana/*.json
var Files embed.FS
