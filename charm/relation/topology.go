package relation

import "fmt"

// Topology is who an observability charm sees: labels of logs, metrics and
// dashboards.
type Topology struct {
	Model       string `json:"model"`
	ModelUUID   string `json:"model_uuid"`
	Application string `json:"application"`
	Unit        string `json:"unit,omitempty"`
	Charm       string `json:"charm_name"`
}

// Identifier names the application among those of all models.
func (t Topology) Identifier() string {
	return fmt.Sprintf("%s_%.7s_%s", t.Model, t.ModelUUID, t.Application)
}

// Labels are what alert rules and logs carry.
func (t Topology) Labels() map[string]string {
	labels := map[string]string{"juju_model": t.Model, "juju_model_uuid": t.ModelUUID, "juju_application": t.Application, "juju_charm": t.Charm}
	if t.Unit != "" {
		labels["juju_unit"] = t.Unit
	}
	return labels
}
