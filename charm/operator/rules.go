package operator

import (
	"embed"
	"encoding/json"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"jimm/charm/relation"
)

// observed has a Prometheus rule file and a Grafana dashboard for each thing to
// watch.
//
//go:embed observed
var observed embed.FS

// alertRules are the rules of observed/*.yaml, by the stem of their file.
func alertRules() map[string][]relation.AlertRule {
	rules := map[string][]relation.AlertRule{}
	each(".yaml", func(stem string, text []byte) {
		var file []relation.AlertRule
		if err := yaml.Unmarshal(text, &file); err != nil {
			panic(err) // a file of ours, which tests read
		}
		rules[stem] = file
	})
	return rules
}

// dashboardFiles are observed/*.json.
func dashboardFiles() map[string][]byte {
	files := map[string][]byte{}
	each(".json", func(stem string, text []byte) {
		if !json.Valid(text) {
			panic(stem + " is not JSON") // a file of ours, which tests read
		}
		files[stem] = text
	})
	return files
}

func each(suffix string, do func(stem string, text []byte)) {
	entries, err := observed.ReadDir("observed")
	if err != nil {
		panic(err) // it is built in
	}
	for _, entry := range entries {
		stem, found := strings.CutSuffix(entry.Name(), suffix)
		if !found {
			continue
		}
		text, err := observed.ReadFile(path.Join("observed", entry.Name()))
		if err != nil {
			panic(err)
		}
		do(stem, text)
	}
}
