package relation

import (
	"net"
	"strconv"

	"gopkg.in/yaml.v3"
)

// IngressPerUnitRequest is what a unit of the requirer of ingress_per_unit
// writes into its own databag, in plain text.
type IngressPerUnitRequest struct {
	Model, Unit, Host string
	Port              int
	// Mode is tcp or http.
	Mode string
}

// Bag encodes the request.
func (r IngressPerUnitRequest) Bag() Bag {
	return Bag{"model": r.Model, "name": r.Unit, "host": r.Host, "port": strconv.Itoa(r.Port), "mode": r.Mode, "scheme": "http"}
}

// ParseIngressPerUnitRequest decodes it.
func ParseIngressPerUnitRequest(bag Bag) (r IngressPerUnitRequest, err error) {
	r = IngressPerUnitRequest{Model: bag["model"], Unit: bag["name"], Host: bag["host"], Mode: bag["mode"]}
	if bag["port"] == "" {
		return r, nil
	}
	if r.Port, err = strconv.Atoi(bag["port"]); err != nil {
		return r, invalid("port", bag["port"], "a number")
	}
	return r, nil
}

// IngressPerUnitAnswer is what the provider writes into its application databag,
// in YAML: where each unit is reached. For mode tcp that is host:port.
type IngressPerUnitAnswer map[string]string

// Bag encodes the answer.
func (a IngressPerUnitAnswer) Bag() Bag {
	units := map[string]map[string]string{}
	for unit, address := range a {
		units[unit] = map[string]string{"url": address}
	}
	text, err := yaml.Marshal(units)
	if err != nil {
		panic(err) // a map of strings
	}
	return Bag{"ingress": string(text)}
}

// ParseIngressPerUnitAnswer decodes it.
func ParseIngressPerUnitAnswer(bag Bag) (IngressPerUnitAnswer, error) {
	var units map[string]struct {
		URL string `yaml:"url"`
	}
	if err := yaml.Unmarshal([]byte(bag["ingress"]), &units); err != nil {
		return nil, invalid("ingress", bag["ingress"], "YAML with a url for each unit")
	}
	a := IngressPerUnitAnswer{}
	for unit, entry := range units {
		if _, _, err := net.SplitHostPort(entry.URL); err != nil {
			return nil, invalid("ingress", entry.URL, "host:port")
		}
		a[unit] = entry.URL
	}
	return a, nil
}
