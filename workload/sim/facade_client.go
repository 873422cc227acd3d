package sim

import (
	"path"
	"strings"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// client8 is Client of 3.6 and 4.x (apiserver/facades/client/client).
var client8 = methods{
	"FullStatus": read(fullStatus),
}

func fullStatus(cn *conn, args params.StatusParams) (params.FullStatus, error) {
	if err := cn.onModel(permission.ReadAccess, cn.model); err != nil {
		return params.FullStatus{}, err
	}
	m, err := cn.theModel()
	if err != nil {
		return params.FullStatus{}, err
	}
	status := cn.ctl.fullStatus(m)
	if len(args.Patterns) > 0 {
		filter(&status, args.Patterns)
	}
	return status, nil
}

// filter leaves the applications that a pattern or one of their units' names
// matches, and their machines.
func filter(status *params.FullStatus, patterns []string) {
	kept := make(map[string]bool)
	for name, a := range status.Applications {
		if !matches(name, a, patterns) {
			delete(status.Applications, name)
			continue
		}
		for _, u := range a.Units {
			kept[u.Machine] = true
		}
	}
	for id := range status.Machines {
		if !kept[id] {
			delete(status.Machines, id)
		}
	}
	relations := status.Relations[:0]
	for _, r := range status.Relations {
		_, first := status.Applications[r.Endpoints[0].ApplicationName]
		_, second := status.Applications[r.Endpoints[1].ApplicationName]
		if first || second {
			relations = append(relations, r)
		}
	}
	status.Relations = relations
}

func matches(name string, a params.ApplicationStatus, patterns []string) bool {
	for _, pattern := range patterns {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
		if strings.Contains(pattern, "/") {
			for unit := range a.Units {
				if unit == pattern {
					return true
				}
			}
		}
	}
	return false
}
