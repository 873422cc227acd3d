package facade

import (
	"maps"
	"reflect"
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

// Parameters is the type of a method's parameters, nil if it has none.
func Parameters(name string, version int, method string) reflect.Type {
	return facades[name][version][method].params
}
