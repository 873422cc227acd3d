package sim

import (
	"strings"

	"github.com/juju/juju/rpc/params"
)

// charms7 is Charms (apiserver/facades/client/charms). There is no store behind
// it: any charm of the store is made up.
var charms7 = methods{
	"CharmInfo":     read(charmInfo),
	"List":          read(listCharms),
	"IsMetered":     read(isMetered),
	"ResolveCharms": read(resolveCharms),
	"AddCharm":      write(addStoreCharm),
	"CheckCharmPlacement": read(func(_ *conn, args params.ApplicationCharmPlacements) (params.ErrorResults, error) {
		return params.ErrorResults{Results: make([]params.ErrorResult, len(args.Placements))}, nil
	}),
	"ListCharmResources": read(func(_ *conn, args params.CharmURLAndOrigins) (params.CharmResourcesResults, error) {
		return params.CharmResourcesResults{Results: make([][]params.CharmResourceResult, len(args.Entities))}, nil
	}),
}

func charmInfo(cn *conn, arg params.CharmURL) (params.Charm, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.Charm{}, err
	}
	f := m.Charms[arg.URL]
	if f == nil {
		return params.Charm{}, notFound("charm %q", arg.URL)
	}
	return f.Charm, nil
}

func listCharms(cn *conn, args params.CharmsList) (params.CharmsListResult, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.CharmsListResult{}, err
	}
	result := params.CharmsListResult{CharmURLs: []string{}}
	for _, url := range sortedKeys(m.Charms) {
		wanted := len(args.Names) == 0
		for _, name := range args.Names {
			wanted = wanted || m.Charms[url].Charm.Meta.Name == name
		}
		if wanted {
			result.CharmURLs = append(result.CharmURLs, url)
		}
	}
	return result, nil
}

// metered is whether a charm's use is counted, which none is.
type metered struct {
	Metered bool `json:"metered"`
}

func isMetered(cn *conn, arg params.CharmURL) (metered, error) {
	_, err := charmInfo(cn, arg)
	return metered{}, err
}

func resolveCharms(cn *conn, args params.ResolveCharmsWithChannel) (params.ResolveCharmWithChannelResults, error) {
	if err := cn.canRead(); err != nil {
		return params.ResolveCharmWithChannelResults{}, err
	}
	results := params.ResolveCharmWithChannelResults{Results: make([]params.ResolveCharmWithChannelResult, len(args.Resolve))}
	for i, arg := range args.Resolve {
		origin := arg.Origin
		revision := 1
		if origin.Revision == nil {
			origin.Revision = &revision
		}
		origin.Source, origin.Type = "charm-hub", "charm"
		results.Results[i] = params.ResolveCharmWithChannelResult{
			URL: arg.Reference, Origin: origin, SupportedBases: []params.Base{defaultBase},
		}
	}
	return results, nil
}

// storeName returns the name in a URL such as ch:amd64/jammy/postgresql-12.
func storeName(url string) string {
	name := url[strings.LastIndexAny(url, ":/")+1:]
	if i := strings.LastIndex(name, "-"); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	return name
}

func addStoreCharm(cn *conn, args params.AddCharmWithOrigin) (params.CharmOriginResult, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.CharmOriginResult{}, err
	}
	revision := 1
	if args.Origin.Revision != nil {
		revision = *args.Origin.Revision
	}
	cn.ctl.storeCharm(m, storeName(args.URL), revision)
	return params.CharmOriginResult{Origin: args.Origin}, nil
}
