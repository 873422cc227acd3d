package relation

// LokiRequest is what the requirer of loki_push_api writes into its application
// databag.
type LokiRequest struct{ Topology Topology }

// Bag encodes the request. JIMM has no alert rules on logs.
func (r LokiRequest) Bag() Bag {
	bag := Bag{"alert_rules": `{"groups": []}`}
	putJSON(bag, "metadata", r.Topology)
	return bag
}

// LokiUnit is what each unit of the provider writes into its own databag.
type LokiUnit struct {
	// URL is where logs are pushed to.
	URL string
}

// Bag encodes it.
func (u LokiUnit) Bag() Bag {
	bag := Bag{}
	putJSON(bag, "endpoint", map[string]string{"url": u.URL})
	return bag
}

// ParseLokiUnit decodes it. A unit that has not said yet is no error.
func ParseLokiUnit(bag Bag) (u LokiUnit, err error) {
	var endpoint struct {
		URL string `json:"url"`
	}
	if err := getJSON(bag, "endpoint", "JSON with a url", &endpoint); err != nil {
		return u, err
	}
	u.URL, err = address("endpoint", endpoint.URL, "http", "https")
	return u, err
}
