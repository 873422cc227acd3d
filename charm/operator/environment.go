package operator

import (
	"fmt"
	"strings"
)

// planProxy hands the model's proxy settings on.
func (p *planner) planProxy() {
	p.set("HTTP_PROXY", p.Event.HTTPProxy)
	p.set("HTTPS_PROXY", p.Event.HTTPSProxy)
	p.set("NO_PROXY", p.Event.NoProxy)
}

// planPorts has the application's service in Kubernetes lead to JIMM. Its internal
// listener has no login: those who need it reach each unit, and no service, which
// might be one with an address outside the cluster, leads there.
func (p *planner) planPorts() {
	p.plan.Ports = []string{fmt.Sprintf("%d/tcp", publicPort)}
}

// unfit finds a variable that no environment can hold.
func unfit(environment map[string]string) (name string, found bool) {
	for name, value := range environment {
		if strings.ContainsRune(value, 0) {
			return name, true
		}
	}
	return "", false
}
