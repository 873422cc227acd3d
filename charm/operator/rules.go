package operator

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"jimm/charm/relation"
	"jimm/observability"
)

// alertRules are those of JIMM, by the name of their group.
func alertRules() map[string][]relation.AlertRule {
	rules := map[string][]relation.AlertRule{}
	each("prometheus", func(_ string, text []byte) {
		var file struct {
			Groups []struct {
				Name  string               `yaml:"name"`
				Rules []relation.AlertRule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			panic(err) // a file of ours, which tests read
		}
		for _, group := range file.Groups {
			rules[group.Name] = append(rules[group.Name], group.Rules...)
		}
	})
	return rules
}

// dashboardFiles are the dashboards of JIMM, by the stem of their file.
func dashboardFiles() map[string][]byte {
	files := map[string][]byte{}
	each("grafana", func(name string, text []byte) {
		if !json.Valid(text) {
			panic(name + " is not JSON") // a file of ours, which tests read
		}
		files[strings.TrimSuffix(name, path.Ext(name))] = text
	})
	return files
}

func each(folder string, do func(name string, text []byte)) {
	entries, err := observability.Files.ReadDir(folder)
	if err != nil {
		panic(err) // it is built in
	}
	for _, entry := range entries {
		text, err := fs.ReadFile(observability.Files, path.Join(folder, entry.Name()))
		if err != nil {
			panic(err)
		}
		do(entry.Name(), text)
	}
}
