package relation

// Dashboard is what JIMM, the provider of juju-dashboard, writes into its
// application databag.
type Dashboard struct {
	// ControllerURL is wss://host/path; the dashboard adds /api.
	ControllerURL string
}

// Bag encodes it. A JAAS is no plain Juju.
func (d Dashboard) Bag() Bag {
	bag := Bag{"is-juju": "False"}
	put(bag, "controller-url", d.ControllerURL)
	return bag
}

// ParseDashboard decodes it.
func ParseDashboard(bag Bag) (d Dashboard, err error) {
	d.ControllerURL, err = address("controller-url", bag["controller-url"], "wss", "ws")
	return d, err
}
