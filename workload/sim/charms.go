package sim

// charmFile is a charm that was uploaded to a model.
type charmFile struct {
	URL, Name string
	Revision  int
	Data      []byte
}

// resource is a file that belongs to an application.
type resource struct {
	Name     string
	Data     []byte
	SHA384   string
	Revision int
	User     string
}
