package relation

import "encoding/json"

// IngressRequest is what the requirer of ingress writes into its application
// databag, each value in JSON.
type IngressRequest struct {
	Model, Name string
	Port        int
	StripPrefix bool
	// Scheme is http if it is empty.
	Scheme string
}

// Bag encodes the request.
func (r IngressRequest) Bag() Bag {
	bag := Bag{}
	putJSON(bag, "model", r.Model)
	putJSON(bag, "name", r.Name)
	putJSON(bag, "port", r.Port)
	if r.StripPrefix {
		putJSON(bag, "strip-prefix", true)
	}
	if r.Scheme != "" {
		putJSON(bag, "scheme", r.Scheme)
	}
	return bag
}

// ParseIngressRequest decodes it.
func ParseIngressRequest(bag Bag) (r IngressRequest, err error) {
	for key, to := range map[string]any{"model": &r.Model, "name": &r.Name, "port": &r.Port, "strip-prefix": &r.StripPrefix, "scheme": &r.Scheme} {
		if wrong := getJSON(bag, key, "JSON of the right type", to); wrong != nil {
			err = wrong
		}
	}
	return r, err
}

// IngressUnit is a unit's part of the request, in its own databag.
type IngressUnit struct{ Host, IP string }

// Bag encodes the unit's part.
func (u IngressUnit) Bag() Bag {
	bag := Bag{}
	if u.Host != "" {
		putJSON(bag, "host", u.Host)
	}
	if u.IP != "" {
		putJSON(bag, "ip", u.IP)
	}
	return bag
}

// ParseIngressUnit decodes it.
func ParseIngressUnit(bag Bag) (u IngressUnit, err error) {
	if err := getJSON(bag, "host", "a JSON string", &u.Host); err != nil {
		return u, err
	}
	return u, getJSON(bag, "ip", "a JSON string", &u.IP)
}

// IngressAnswer is what the provider writes into its application databag.
type IngressAnswer struct {
	// URL is where the application is reached; empty until the provider knows.
	URL string
}

// Bag encodes the answer.
func (a IngressAnswer) Bag() Bag {
	bag := Bag{}
	if a.URL != "" {
		putJSON(bag, "ingress", map[string]string{"url": a.URL})
	}
	return bag
}

// ParseIngressAnswer decodes it.
func ParseIngressAnswer(bag Bag) (a IngressAnswer, err error) {
	var ingress struct {
		URL string `json:"url"`
	}
	if text := bag["ingress"]; text != "" {
		if err := json.Unmarshal([]byte(text), &ingress); err != nil {
			return a, invalid("ingress", text, "JSON with a url")
		}
	}
	a.URL, err = address("ingress", ingress.URL, "https", "http")
	return a, err
}
