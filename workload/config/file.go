package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// readFile reads a configuration file: YAML with the names of variables and
// their values, which may be lists where the variable is one.
func readFile(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var nodes map[string]yaml.Node
	if err := decoder.Decode(&nodes); err != nil && !errors.Is(err, io.EOF) {
		// A decoder's error may quote a value.
		return nil, fmt.Errorf("cannot read the configuration file %s: it must be YAML, with lines NAME: value%s", path, lineOf(err))
	}
	settings := make(map[string]string, len(nodes))
	for name, node := range nodes {
		value, err := written(node)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s of the configuration file %s, line %d: %w", name, path, node.Line, err)
		}
		settings[name] = value
	}
	return settings, nil
}

// written is a value as the environment has it.
func written(node yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		var words []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode || strings.ContainsAny(item.Value, " \t\n") || item.Value == "" {
				return "", errors.New("a list must be of words")
			}
			words = append(words, item.Value)
		}
		return strings.Join(words, " "), nil
	}
	return "", errors.New("it must be a value or a list of words")
}

// lineOf finds the line in an error of yaml's.
func lineOf(err error) string {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	if !ok {
		return ""
	}
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits <= 0 {
		return ""
	}
	return " (line " + rest[:digits] + ")"
}
