package relation

import "strconv"

// NginxRouteRequest is what the requirer of nginx-route writes into its
// application databag. The provider writes nothing.
type NginxRouteRequest struct {
	// Hostname is the public name; the service is JIMM's in Kubernetes.
	Hostname, Service, Namespace string
	Port                         int
}

// Bag encodes the request.
func (r NginxRouteRequest) Bag() Bag {
	bag := Bag{}
	put(bag, "service-hostname", r.Hostname)
	put(bag, "service-name", r.Service)
	put(bag, "service-namespace", r.Namespace)
	if r.Port != 0 {
		bag["service-port"] = strconv.Itoa(r.Port)
	}
	return bag
}
