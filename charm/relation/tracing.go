package relation

// TracingRequest is what the requirer of tracing writes into its application
// databag: the protocols it speaks.
type TracingRequest []string

// Bag encodes the request.
func (r TracingRequest) Bag() Bag {
	bag := Bag{}
	putJSON(bag, "receivers", r)
	return bag
}

// ParseTracingRequest decodes it.
func ParseTracingRequest(bag Bag) (r TracingRequest, err error) {
	return r, getJSON(bag, "receivers", "a JSON list", &r)
}

type receiver struct {
	Protocol struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"protocol"`
	URL string `json:"url"`
}

// TracingAnswer is what the provider writes into its application databag: the
// URL for each protocol.
type TracingAnswer map[string]string

// Bag encodes the answer.
func (a TracingAnswer) Bag() Bag {
	receivers := []receiver{}
	for _, protocol := range sortedKeys(a) {
		r := receiver{URL: a[protocol]}
		r.Protocol.Name, r.Protocol.Type = protocol, "http"
		receivers = append(receivers, r)
	}
	bag := Bag{}
	putJSON(bag, "receivers", receivers)
	return bag
}

// ParseTracingAnswer decodes the answer: of its protocols, those over HTTP.
func ParseTracingAnswer(bag Bag) (TracingAnswer, error) {
	var receivers []receiver
	if err := getJSON(bag, "receivers", "a JSON list of receivers", &receivers); err != nil {
		return nil, err
	}
	a := TracingAnswer{}
	for _, r := range receivers {
		if r.Protocol.Type != "http" {
			continue
		}
		url, err := address("receivers", r.URL, "http", "https")
		if err != nil {
			return nil, err
		}
		a[r.Protocol.Name] = url
	}
	return a, nil
}
