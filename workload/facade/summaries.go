package facade

import (
	"context"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/juju/names/v6"
	"github.com/tidwall/gjson"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// summaryResults are a params.ModelSummaryResults. What controllers said of
// models is passed on as JSON, since decoding and encoding it is most of the
// work for a list of ten thousand.
type summaryResults struct {
	models []estate.ListedModel
	// controllerUUID stands for that of every model's controller; empty where
	// its own shall be seen.
	controllerUUID string
	// legacy is set for versions in which models have an owner-tag.
	legacy bool
}

func listModelSummaries(ctx context.Context, c *Connection, _ params.ModelSummariesRequest) (summaryResults, error) {
	models, err := c.server.Estate.ListSummaries(ctx, *c.User())
	results := summaryResults{models: models, controllerUUID: c.server.Estate.UUID}
	if c.unmasked.Load() {
		results.controllerUUID = ""
	}
	return results, err
}

func listModelSummariesLegacy(ctx context.Context, c *Connection, args params.ModelSummariesRequest) (summaryResults, error) {
	results, err := listModelSummaries(ctx, c, args)
	results.legacy = true
	return results, err
}

// ours are the fields of a summary that we know, whatever a controller says.
var ours = map[string]bool{
	"name": true, "uuid": true, "type": true, "controller-uuid": true, "cloud-tag": true,
	"owner-tag": true, "qualifier": true,
	"user-access": true, "last-connection": true,
}

// MarshalJSON implements json.Marshaler.
func (s summaryResults) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil) }

// AppendJSON implements rpc.Appender.
func (s summaryResults) AppendJSON(b []byte) ([]byte, error) {
	size := 64
	for _, m := range s.models {
		size += 500 + len(m.Said)
	}
	b = append(slices.Grow(b, size), `{"results":[`...)
	for i, m := range s.models {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = s.appendModel(b, m); err != nil {
			return nil, err
		}
	}
	return append(b, `]}`...), nil
}

func (s summaryResults) appendModel(b []byte, m estate.ListedModel) ([]byte, error) {
	b = append(b, `{"result":{"name":`...)
	b = appendString(b, m.Name)
	field := func(name, value string) {
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":`...)
		b = appendString(b, value)
	}
	field("uuid", m.UUID)
	field("type", m.Type)
	controllerUUID := s.controllerUUID
	if controllerUUID == "" {
		controllerUUID = m.ControllerUUID
	}
	field("controller-uuid", controllerUUID)
	field("cloud-tag", names.CloudTagKind+"-"+m.Cloud)
	credential := m.CredentialTag()
	if credential != "" {
		field("cloud-credential-tag", credential)
	}
	if s.legacy {
		field("owner-tag", names.UserTagKind+"-"+m.Owner)
	} else {
		field("qualifier", m.Owner)
	}
	field("user-access", m.Access)
	b = append(b, `,"last-connection":null`...)
	life, status := string(m.Life()), m.Status()
	var region, counts, controller, version bool
	gjson.ParseBytes(m.Said).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "life":
			if life == "" {
				life = value.Str
			}
			return true
		case "status":
			if status != nil {
				return true
			}
		case "cloud-region":
			region = true
		case "counts":
			counts = value.IsArray()
			if !counts {
				return true
			}
		case "cloud-credential-tag":
			if credential != "" {
				return true
			}
		case "is-controller":
			controller = true
		case "agent-version":
			version = true
		default:
			if ours[key.Str] {
				return true
			}
		}
		b = append(b, ',')
		b = append(b, key.Raw...)
		b = append(b, ':')
		b = append(b, value.Raw...)
		return true
	})
	if life == "" {
		life = "alive"
	}
	field("life", life)
	if status != nil {
		encoded, err := json.Marshal(status)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"status":`...), encoded...)
	}
	if !region && m.Region != estate.NoRegion && m.Region != "" {
		field("cloud-region", m.Region)
	}
	if !counts {
		b = append(b, `,"counts":[]`...)
	}
	if !controller {
		b = append(b, `,"is-controller":false`...)
	}
	if !version {
		b = append(b, `,"agent-version":null`...)
	}
	return append(b, `}}`...), nil
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			encoded, _ := json.Marshal(s) // a string always can be
			return append(b, encoded...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
