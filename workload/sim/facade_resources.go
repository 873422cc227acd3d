package sim

import (
	"fmt"

	"github.com/juju/names/v6"

	"github.com/juju/juju/domain/deployment/charm"
	"github.com/juju/juju/rpc/params"
)

// resources3 is Resources (apiserver/facades/client/resources). No method of it
// looks at the access to the model, in either generation.
var resources3 = methods{
	"ListResources":       read(listResources),
	"AddPendingResources": write(addPendingResources),
}

func listResources(cn *conn, args params.ListResourcesArgs) (params.ResourcesResults, error) {
	m, err := cn.theModel()
	if err != nil {
		return params.ResourcesResults{}, err
	}
	results := params.ResourcesResults{Results: make([]params.ResourcesResult, len(args.Entities))}
	for i, arg := range args.Entities {
		result, err := cn.ctl.resourcesOf(m, arg.Tag)
		result.Error = asParams(err)
		results.Results[i] = result
	}
	return results, nil
}

func (c *Controller) resourcesOf(m *model, applicationTag string) (params.ResourcesResult, error) {
	var result params.ResourcesResult
	tag, err := names.ParseApplicationTag(applicationTag)
	if err != nil {
		return result, err
	}
	a := m.Applications[tag.Id()]
	if a == nil && c.config.Generation == Juju41 {
		return result, fmt.Errorf("application %s not found", tag.Id())
	}
	if a == nil {
		return result, notFound("application %q", tag.Id())
	}
	for _, name := range sortedKeys(a.Resources) {
		r := a.Resources[name]
		result.Resources = append(result.Resources, r.Resource)
		// What the store has is told too, one for each; for what was uploaded
		// that is the same.
		result.CharmStoreResources = append(result.CharmStoreResources, r.CharmResource)
	}
	for _, number := range sortedKeys(a.Units) {
		result.UnitResources = append(result.UnitResources, params.UnitResources{
			Entity: params.Entity{Tag: names.NewUnitTag(unitName(a, number)).String()},
		})
	}
	return result, nil
}

func addPendingResources(cn *conn, args params.AddPendingResourcesArgsV2) (params.AddPendingResourcesResult, error) {
	m, err := cn.theModel()
	if err != nil {
		return params.AddPendingResourcesResult{}, err
	}
	tag, err := names.ParseApplicationTag(args.Tag)
	// Clients of 3.6 leave the URL of a local charm out.
	if err == nil && cn.ctl.config.Generation == Juju41 {
		if _, parseErr := charm.ParseURL(args.URL); parseErr != nil {
			err = coded(params.CodeNotValid, "parsing charm URL %q: %s", args.URL, parseErr)
		}
	}
	if err != nil {
		return params.AddPendingResourcesResult{ErrorResult: resultOf(err)}, nil
	}
	var result params.AddPendingResourcesResult
	for _, r := range args.Resources {
		id := newUUID()
		if m.Pending == nil {
			m.Pending = make(map[string]*resource)
		}
		m.Pending[id] = &resource{Resource: params.Resource{
			CharmResource: r, ID: tag.Id() + "/" + r.Name, ApplicationName: tag.Id(), Timestamp: cn.ctl.clock.Now(),
		}}
		result.PendingIDs = append(result.PendingIDs, id)
	}
	return result, nil
}
