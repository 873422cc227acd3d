package simulator

import (
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// ReadCharm reads an application's endpoints and its options' defaults out of
// the metadata.yaml and config.yaml of a folder.
func ReadCharm(folder string) (endpoints map[string]Endpoint, defaults map[string]any, err error) {
	type declared struct {
		Interface string `yaml:"interface"`
		Limit     int    `yaml:"limit"`
	}
	var metadata struct {
		Provides map[string]declared `yaml:"provides"`
		Requires map[string]declared `yaml:"requires"`
		Peers    map[string]declared `yaml:"peers"`
	}
	if err := readYAML(filepath.Join(folder, "metadata.yaml"), &metadata); err != nil {
		return nil, nil, err
	}
	var config struct {
		Options map[string]struct {
			Default any `yaml:"default"`
		} `yaml:"options"`
	}
	if err := readYAML(filepath.Join(folder, "config.yaml"), &config); err != nil {
		return nil, nil, err
	}
	endpoints, defaults = map[string]Endpoint{}, map[string]any{}
	for role, all := range map[Role]map[string]declared{Provides: metadata.Provides, Requires: metadata.Requires, Peers: metadata.Peers} {
		for name, d := range all {
			endpoints[name] = Endpoint{role, d.Interface, d.Limit}
		}
	}
	for name, option := range config.Options {
		if option.Default != nil {
			defaults[name] = option.Default
		}
	}
	return endpoints, defaults, nil
}

func readYAML(file string, out any) error {
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, out)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	return nil
}
