package relation

import (
	"maps"
	"strconv"
)

// Scrape is what JIMM, the provider of prometheus_scrape, writes into its
// application databag.
type Scrape struct {
	// Port and Path are where each unit has its metrics.
	Port     int
	Path     string
	Topology Topology
	// Rules are alert rules by the stem of their file.
	Rules map[string][]AlertRule
}

// AlertRule is one of Prometheus.
type AlertRule struct {
	Alert       string            `json:"alert" yaml:"alert"`
	Expr        string            `json:"expr" yaml:"expr"`
	For         string            `json:"for,omitempty" yaml:"for"`
	Labels      map[string]string `json:"labels" yaml:"labels"`
	Annotations map[string]string `json:"annotations,omitempty" yaml:"annotations"`
}

// Bag encodes it.
func (s Scrape) Bag() Bag {
	type group struct {
		Name  string      `json:"name"`
		Rules []AlertRule `json:"rules"`
	}
	groups := []group{}
	topology := s.Topology
	topology.Unit = ""
	for _, stem := range sortedKeys(s.Rules) {
		g := group{Name: topology.Identifier() + "_" + stem + "_alerts"}
		for _, rule := range s.Rules[stem] {
			labels := topology.Labels()
			maps.Copy(labels, rule.Labels)
			rule.Labels = labels
			g.Rules = append(g.Rules, rule)
		}
		groups = append(groups, g)
	}
	bag := Bag{}
	putJSON(bag, "scrape_jobs", []map[string]any{{
		"metrics_path":   s.Path,
		"static_configs": []map[string]any{{"targets": []string{"*:" + strconv.Itoa(s.Port)}}},
	}})
	putJSON(bag, "scrape_metadata", topology)
	putJSON(bag, "alert_rules", map[string]any{"groups": groups})
	return bag
}

// ScrapeUnit is what each unit of JIMM writes into its own databag.
type ScrapeUnit struct{ Address, Unit, FQDN string }

// Bag encodes it.
func (u ScrapeUnit) Bag() Bag {
	bag := Bag{}
	put(bag, "prometheus_scrape_unit_address", u.Address)
	put(bag, "prometheus_scrape_unit_name", u.Unit)
	put(bag, "prometheus_scrape_unit_fqdn", u.FQDN)
	return bag
}
