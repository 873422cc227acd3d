package facade

import (
	"maps"
	"slices"
)

// Served lists all that is served after a login: facade, version, methods.
func Served() map[string]map[int][]string {
	all := map[string]map[int][]string{}
	for name, versions := range facades {
		all[name] = map[int][]string{}
		for version, served := range versions {
			all[name][version] = slices.Sorted(maps.Keys(served))
		}
	}
	return all
}
