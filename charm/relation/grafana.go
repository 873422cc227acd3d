package relation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Dashboards are what JIMM, the provider of grafana_dashboard, writes into its
// application databag.
type Dashboards struct {
	Topology Topology
	// Files are dashboards of Grafana in JSON, by the stem of their file.
	Files map[string][]byte
}

type dashboardTemplate struct {
	Charm           string   `json:"charm"`
	Content         string   `json:"content"`
	Topology        Topology `json:"juju_topology"`
	InjectDropdowns bool     `json:"inject_dropdowns"`
	UID             string   `json:"dashboard_alt_uid"`
}

type dashboardBag struct {
	Templates map[string]dashboardTemplate `json:"templates"`
	// UUID changes with the content, and only then.
	UUID string `json:"uuid"`
}

// Bag encodes them, always in the same way.
func (d Dashboards) Bag() (Bag, error) {
	content := dashboardBag{Templates: map[string]dashboardTemplate{}}
	all := sha256.New()
	for _, stem := range sortedKeys(d.Files) {
		var packed bytes.Buffer
		// The usual dictionary takes megabytes, in each hook.
		w, err := xz.WriterConfig{DictCap: max(lzma.MinDictCap, len(d.Files[stem]))}.NewWriter(&packed)
		if err == nil {
			_, err = w.Write(d.Files[stem])
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("cannot compress dashboard %q: %w", stem, err)
		}
		uid := sha256.Sum256([]byte(d.Topology.Charm + "/" + stem))
		content.Templates["file:"+stem] = dashboardTemplate{
			Charm: d.Topology.Charm, Content: base64.StdEncoding.EncodeToString(packed.Bytes()),
			Topology: d.Topology, InjectDropdowns: true, UID: hex.EncodeToString(uid[:20]),
		}
		fmt.Fprintf(all, "%s %d\n%s", stem, len(d.Files[stem]), d.Files[stem])
	}
	sum := all.Sum(nil)
	content.UUID = fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	bag := Bag{}
	putJSON(bag, "dashboards", content)
	return bag, nil
}

// ParseDashboards decodes what Grafana's charm reads.
func ParseDashboards(bag Bag) (map[string][]byte, error) {
	var content dashboardBag
	if err := getJSON(bag, "dashboards", "JSON with templates", &content); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for stem, template := range content.Templates {
		packed, err := base64.StdEncoding.DecodeString(template.Content)
		if err != nil {
			return nil, invalid("dashboards", template.Content, "base64")
		}
		r, err := xz.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, invalid("dashboards", template.Content, "xz in base64")
		}
		if files[stem], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	return files, nil
}
