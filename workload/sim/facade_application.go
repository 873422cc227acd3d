package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/domain/deployment/charm"
	"github.com/juju/juju/rpc/params"
)

// application22 is Application (apiserver/facades/client/application).
var application22 = methods{
	"Deploy":                      write(deploy),
	"DeployFromRepository":        write(deployFromRepository),
	"AddUnits":                    write(addUnits),
	"DestroyApplication":          write(destroyApplication),
	"DestroyUnit":                 write(destroyUnit),
	"DestroyConsumedApplications": write(destroyConsumedApplications),
	"SetConfigs":                  write(setConfigs),
	"UnsetApplicationsConfig":     write(unsetApplicationsConfig),
	"Get":                         read(applicationGet),
	"CharmConfig":                 read(charmConfig),
	"GetConstraints":              read(getConstraints),
	"SetConstraints":              write(setConstraints),
	"Expose":                      write(expose),
	"Unexpose":                    write(unexpose),
	"AddRelation":                 write(addRelation),
	"DestroyRelation":             write(destroyRelation),
	"CharmRelations":              read(charmRelations),
	"GetCharmURLOrigin":           read(getCharmURLOrigin),
	"SetCharm":                    write(setCharm),
	"ApplicationsInfo":            read(applicationsInfo),
	"UnitsInfo":                   read(unitsInfo),
	"Leader":                      read(leader),
	"ResolveUnitErrors":           write(resolveUnitErrors),
	"Consume":                     write(consume),
	"ScaleApplications": call(func(_ context.Context, _ *conn, _ string, args params.ScaleApplicationsParamsV2) (params.ScaleApplicationResults, error) {
		return params.ScaleApplicationResults{}, coded(params.CodeNotSupported, "scaling applications on a non-container model not supported")
	}),
}

func deploy(cn *conn, args params.ApplicationsDeploy) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{Results: make([]params.ErrorResult, len(args.Applications))}, err
	}
	if err := m.blocked("BlockChange"); err != nil {
		return params.ErrorResults{Results: make([]params.ErrorResult, len(args.Applications))}, err
	}
	return each(args.Applications, func(arg params.ApplicationDeploy) error {
		f := m.Charms[arg.CharmURL]
		if f == nil {
			return notFound("charm %q", arg.CharmURL)
		}
		if arg.CharmOrigin == nil {
			return coded(params.CodeBadRequest, "deploying %q: no charm origin", arg.ApplicationName)
		}
		a := &application{Name: arg.ApplicationName, Charm: arg.CharmURL, Constraints: arg.Constraints, Origin: arg.CharmOrigin}
		a.Base = arg.CharmOrigin.Base
		if a.Base.Name == "" {
			a.Base = f.base()
		}
		if err := cn.ctl.deploy(m, a, f, arg.NumUnits); err != nil {
			return err
		}
		for name, id := range arg.Resources {
			r := m.Pending[id]
			if r == nil {
				delete(m.Applications, a.Name)
				return notFound("pending resource %q (%s)", name, id)
			}
			delete(m.Pending, id)
			if a.Resources == nil {
				a.Resources = make(map[string]*resource)
			}
			a.Resources[name] = r
		}
		values := make(map[string]string, len(arg.Config))
		for name, value := range arg.Config {
			values[name] = value
		}
		if err := a.configure(f, values, arg.ConfigYAML); err != nil {
			cn.ctl.removeApplication(m, a)
			return err
		}
		return nil
	}), nil
}

// deploy adds an application if that can be.
func (c *Controller) deploy(m *model, a *application, f *charmFile, units int) error {
	if m.Life != alive {
		return fmt.Errorf("cannot add application %q: model is no longer alive", a.Name)
	}
	if !names.IsValidApplication(a.Name) {
		return coded(params.CodeNotValid, "invalid application name %q", a.Name)
	}
	if m.Applications[a.Name] != nil || m.Remotes[a.Name] != nil {
		return coded(params.CodeAlreadyExists, "cannot add application %q: application already exists", a.Name)
	}
	if f.Charm.Meta.Subordinate {
		units = 0
	}
	c.addApplication(m, a, units)
	return nil
}

func deployFromRepository(cn *conn, args params.DeployFromRepositoryArgs) (params.DeployFromRepositoryResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockChange")
	}
	if err != nil {
		return params.DeployFromRepositoryResults{}, err
	}
	results := params.DeployFromRepositoryResults{Results: make([]params.DeployFromRepositoryResult, len(args.Args))}
	for i, arg := range args.Args {
		info, err := cn.ctl.deployFromStore(m, arg)
		if err != nil {
			results.Results[i].Errors = []*params.Error{asParams(err)}
			continue
		}
		results.Results[i].Info = info
	}
	return results, nil
}

func (c *Controller) deployFromStore(m *model, arg params.DeployFromRepositoryArg) (params.DeployFromRepositoryInfo, error) {
	name := arg.ApplicationName
	if name == "" {
		name = arg.CharmName
	}
	revision, units := 1, 1
	if arg.Revision != nil {
		revision = *arg.Revision
	}
	if arg.NumUnits != nil {
		units = *arg.NumUnits
	}
	base := defaultBase
	if arg.Base != nil {
		base = *arg.Base
	}
	channel := "latest/stable"
	if arg.Channel != nil {
		channel = *arg.Channel
	}
	info := params.DeployFromRepositoryInfo{Architecture: "amd64", Base: base, Channel: channel, Name: name, Revision: revision}
	if arg.DryRun {
		return info, nil
	}
	f := c.storeCharm(m, arg.CharmName, revision)
	origin := &params.CharmOrigin{Source: "charm-hub", Type: "charm", Revision: &revision, Architecture: "amd64", Base: base, Risk: "stable"}
	a := &application{Name: name, Charm: f.Charm.URL, Base: base, Constraints: arg.Cons, Origin: origin}
	return info, c.deploy(m, a, f, units)
}

func addUnits(cn *conn, args params.AddApplicationUnits) (params.AddApplicationUnitsResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockChange")
	}
	if err != nil {
		return params.AddApplicationUnitsResults{}, err
	}
	a, err := m.application(args.ApplicationName)
	if err != nil {
		return params.AddApplicationUnitsResults{}, err
	}
	if args.NumUnits < 1 {
		return params.AddApplicationUnitsResults{}, fmt.Errorf("must add at least one unit")
	}
	var result params.AddApplicationUnitsResults
	for range args.NumUnits {
		result.Units = append(result.Units, cn.ctl.addUnit(m, a))
	}
	cn.ctl.changed(m)
	return result, nil
}

func destroyApplication(cn *conn, args params.DestroyApplicationsParams) (params.DestroyApplicationResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockRemove", "BlockChange")
	}
	if err != nil {
		return params.DestroyApplicationResults{}, err
	}
	results := params.DestroyApplicationResults{Results: make([]params.DestroyApplicationResult, len(args.Applications))}
	for i, arg := range args.Applications {
		tag, err := names.ParseApplicationTag(arg.ApplicationTag)
		var a *application
		if err == nil {
			a, err = m.application(tag.Id())
		}
		if err == nil {
			err = m.offered(a.Name)
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		info := &params.DestroyApplicationInfo{}
		for _, number := range sortedKeys(a.Units) {
			info.DestroyedUnits = append(info.DestroyedUnits, params.Entity{Tag: names.NewUnitTag(unitName(a, number)).String()})
		}
		results.Results[i].Info = info
		if !arg.DryRun {
			cn.ctl.removeApplication(m, a)
		}
	}
	return results, nil
}

// offered refuses to remove an application that has offers.
func (m *model) offered(application string) error {
	n := 0
	for _, o := range m.Offers {
		if o.Application == application {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("cannot destroy application %q: application is used by %d offer(s)", application, n)
	}
	return nil
}

func destroyUnit(cn *conn, args params.DestroyUnitsParams) (params.DestroyUnitResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockRemove", "BlockChange")
	}
	if err != nil {
		return params.DestroyUnitResults{}, err
	}
	results := params.DestroyUnitResults{Results: make([]params.DestroyUnitResult, len(args.Units))}
	for i, arg := range args.Units {
		tag, err := names.ParseUnitTag(arg.UnitTag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		a, u, err := m.unitNamed(tag.Id())
		if application, _, _ := strings.Cut(tag.Id(), "/"); m.Applications[application] == nil {
			err = noApplication(cn.ctl, application)
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		results.Results[i].Info = &params.DestroyUnitInfo{}
		if !arg.DryRun {
			cn.ctl.removeUnit(m, a, u.Number)
			cn.ctl.changed(m)
		}
	}
	return results, nil
}

// configure sets options by their text, as juju config does.
func (a *application) configure(f *charmFile, values map[string]string, yamlText string) error {
	spec := params.FromCharmOptionMap(f.Charm.Config)
	if spec == nil {
		spec = &charm.ConfigSpec{}
	}
	for name := range values {
		if name == "trust" { // the application's own, not the charm's
			delete(values, name)
		}
	}
	settings, err := spec.ParseSettingsStrings(values)
	if err != nil {
		return coded(params.CodeNotValid, "%s", err)
	}
	if yamlText != "" {
		more, err := spec.ParseSettingsYAML([]byte(yamlText), a.Name)
		if err != nil {
			return coded(params.CodeNotValid, "%s", err)
		}
		for name, value := range settings {
			more[name] = value
		}
		settings = more
	}
	for name, value := range settings {
		if a.Config == nil {
			a.Config = make(map[string]any)
		}
		a.Config[name] = value
	}
	return nil
}

// charmOf returns the charm of an application.
func (m *model) charmOf(a *application) (*charmFile, error) {
	f := m.Charms[a.Charm]
	if f == nil {
		return nil, notFound("charm %q", a.Charm)
	}
	return f, nil
}

func setConfigs(cn *conn, args params.ConfigSetArgs) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockChange")
	}
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Args, func(arg params.ConfigSet) error {
		a, err := m.application(arg.ApplicationName)
		if err != nil {
			return err
		}
		f, err := m.charmOf(a)
		if err != nil {
			return err
		}
		if err := a.configure(f, arg.Config, arg.ConfigYAML); err != nil {
			return err
		}
		cn.ctl.changed(m)
		return nil
	}), nil
}

func unsetApplicationsConfig(cn *conn, args params.ApplicationConfigUnsetArgs) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Args, func(arg params.ApplicationUnset) error {
		a, err := m.application(arg.ApplicationName)
		if err != nil {
			return err
		}
		for _, name := range arg.Options {
			delete(a.Config, name)
		}
		cn.ctl.changed(m)
		return nil
	}), nil
}

func applicationGet(cn *conn, args params.ApplicationGet) (params.ApplicationGetResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.ApplicationGetResults{}, err
	}
	a := m.Applications[args.ApplicationName]
	if a == nil {
		return params.ApplicationGetResults{}, noApplication(cn.ctl, args.ApplicationName)
	}
	f, err := m.charmOf(a)
	if err != nil {
		return params.ApplicationGetResults{}, err
	}
	return params.ApplicationGetResults{
		Application: a.Name,
		Charm:       f.Charm.Meta.Name,
		CharmConfig: a.shownConfig(f),
		ApplicationConfig: map[string]any{"trust": map[string]any{
			"default": false, "description": "Does this application have access to trusted credentials", "source": "default", "type": "bool", "value": false,
		}},
		Constraints:      a.Constraints,
		Base:             a.Base,
		Channel:          "",
		EndpointBindings: map[string]string{"": "alpha"},
	}, nil
}

func (a *application) shownConfig(f *charmFile) map[string]any {
	shown := make(map[string]any, len(f.Charm.Config))
	for name, option := range f.Charm.Config {
		entry := map[string]any{"description": option.Description, "type": option.Type, "source": "unset"}
		if option.Default != nil {
			entry["default"], entry["value"], entry["source"] = option.Default, option.Default, "default"
		}
		if value, ok := a.Config[name]; ok {
			entry["value"], entry["source"] = value, "user"
		}
		shown[name] = entry
	}
	return shown
}

func charmConfig(cn *conn, args params.ApplicationGetArgs) (params.ApplicationGetConfigResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.ApplicationGetConfigResults{}, err
	}
	var results params.ApplicationGetConfigResults
	for _, arg := range args.Args {
		var result params.ConfigResult
		a, err := m.application(arg.ApplicationName)
		var f *charmFile
		if err == nil {
			f, err = m.charmOf(a)
		}
		if err != nil {
			result.Error = asParams(err)
		} else {
			result.Config = a.shownConfig(f)
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

func getConstraints(cn *conn, args params.Entities) (params.ApplicationGetConstraintsResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.ApplicationGetConstraintsResults{}, err
	}
	var results params.ApplicationGetConstraintsResults
	for _, arg := range args.Entities {
		var result params.ApplicationConstraint
		tag, err := names.ParseApplicationTag(arg.Tag)
		var a *application
		if err == nil {
			a, err = m.application(tag.Id())
		}
		if err != nil {
			result.Error = asParams(err)
		} else {
			result.Constraints = a.Constraints
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

// changeApplication does something to an application that the caller may
// write to.
// An application that is not there is missing in the words of missing.
func changeApplication[P any](missing func(c *Controller, name string) error, name func(P) string, do func(cn *conn, m *model, a *application, p P) error) func(*conn, P) (none, error) {
	return func(cn *conn, p P) (none, error) {
		m, err := cn.writeModel()
		if err == nil {
			err = m.blocked("BlockChange")
		}
		if err != nil {
			return none{}, err
		}
		a := m.Applications[name(p)]
		if a == nil {
			return none{}, missing(cn.ctl, name(p))
		}
		if err := do(cn, m, a, p); err != nil {
			return none{}, err
		}
		cn.ctl.changed(m)
		return none{}, nil
	}
}

// noApplication says that there is no such application. 4.x has two ways.
func noApplication(c *Controller, name string) error {
	if c.config.Generation == Juju41 {
		return notFound("application %s", name)
	}
	return notFound("application %q", name)
}

func noApplicationToExpose(c *Controller, name string) error {
	if c.config.Generation == Juju41 {
		return fmt.Errorf("getting application %q not found", name)
	}
	return notFound("application %q", name)
}

var setConstraints = changeApplication(noApplication, func(p params.SetConstraints) string { return p.ApplicationName },
	func(_ *conn, _ *model, a *application, p params.SetConstraints) error {
		a.Constraints = p.Constraints
		return nil
	})

var expose = changeApplication(noApplicationToExpose, func(p params.ApplicationExpose) string { return p.ApplicationName },
	func(_ *conn, m *model, a *application, p params.ApplicationExpose) error {
		endpoints := p.ExposedEndpoints
		if len(endpoints) == 0 {
			endpoints = map[string]params.ExposedEndpoint{"": {ExposeToCIDRs: []string{"0.0.0.0/0", "::/0"}}}
		}
		f, err := m.charmOf(a)
		if err != nil {
			return err
		}
		for name := range endpoints {
			if _, ok := f.endpoint(name); !ok && name != "" {
				return notFound("endpoint %q", name)
			}
		}
		a.Exposed, a.ExposedEndpoints = true, endpoints
		return nil
	})

var unexpose = changeApplication(noApplicationToExpose, func(p params.ApplicationUnexpose) string { return p.ApplicationName },
	func(_ *conn, _ *model, a *application, p params.ApplicationUnexpose) error {
		for _, name := range p.ExposedEndpoints {
			delete(a.ExposedEndpoints, name)
		}
		if len(p.ExposedEndpoints) == 0 || len(a.ExposedEndpoints) == 0 {
			a.Exposed, a.ExposedEndpoints = false, nil
		}
		return nil
	})

var setCharm = changeApplication(noApplication, func(p params.ApplicationSetCharmV2) string { return p.ApplicationName },
	func(_ *conn, m *model, a *application, p params.ApplicationSetCharmV2) error {
		f := m.Charms[p.CharmURL]
		if f == nil {
			return notFound("charm %q", p.CharmURL)
		}
		a.Charm = p.CharmURL
		if p.CharmOrigin != nil {
			a.Origin = p.CharmOrigin
		}
		return a.configure(f, p.ConfigSettings, p.ConfigSettingsYAML)
	})

// end is one end of a relation.
type end struct {
	application string
	params.CharmRelation
}

// ends are the endpoints that a text such as labapp or labapp:db can mean.
func (m *model) ends(text string) ([]end, error) {
	name, endpoint, _ := strings.Cut(text, ":")
	var all []end
	if r := m.Remotes[name]; r != nil {
		for _, e := range r.Endpoints {
			// What the offer provides is what the remote application provides.
			all = append(all, end{name, params.CharmRelation{Name: e.Name, Role: string(e.Role), Interface: e.Interface, Limit: e.Limit, Scope: "global"}})
		}
	} else {
		a, err := m.application(name)
		if err != nil {
			return nil, err
		}
		f, err := m.charmOf(a)
		if err != nil {
			return nil, err
		}
		for _, of := range []map[string]params.CharmRelation{f.Charm.Meta.Provides, f.Charm.Meta.Requires} {
			for _, endpointName := range sortedKeys(of) {
				all = append(all, end{name, of[endpointName]})
			}
		}
		all = append(all, end{name, params.CharmRelation{Name: "juju-info", Role: "provider", Interface: "juju-info", Scope: "global"}})
	}
	if endpoint == "" {
		return all, nil
	}
	all = slices.DeleteFunc(all, func(e end) bool { return e.Name != endpoint })
	if len(all) == 0 {
		return nil, coded(params.CodeNotFound, "application %q has no %q relation", name, endpoint)
	}
	return all, nil
}

// pair finds the relation that two texts mean: provider, then requirer.
func (m *model) pair(texts []string) (provider, requirer end, err error) {
	if len(texts) != 2 {
		return end{}, end{}, fmt.Errorf("a relation must involve two applications")
	}
	first, err := m.ends(texts[0])
	if err != nil {
		return end{}, end{}, err
	}
	second, err := m.ends(texts[1])
	if err != nil {
		return end{}, end{}, err
	}
	var found [][2]end
	for _, a := range first {
		for _, b := range second {
			if a.Interface != b.Interface || a.Role == b.Role {
				continue
			}
			if a.Role == "provider" {
				found = append(found, [2]end{a, b})
			} else {
				found = append(found, [2]end{b, a})
			}
		}
	}
	if len(found) > 1 {
		// juju-info is only meant when nothing else fits.
		found = slices.DeleteFunc(found, func(p [2]end) bool { return p[0].Interface == "juju-info" })
	}
	switch len(found) {
	case 0:
		return end{}, end{}, notFound("no relations found")
	case 1:
		return found[0][0], found[0][1], nil
	}
	var could []string
	for _, p := range found {
		could = append(could, fmt.Sprintf("%q", p[1].application+":"+p[1].Name+" "+p[0].application+":"+p[0].Name))
	}
	slices.Sort(could)
	return end{}, end{}, fmt.Errorf("ambiguous relation: %q could refer to %s", strings.Join(texts, " "), strings.Join(could, "; "))
}

func addRelation(cn *conn, args params.AddRelation) (params.AddRelationResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockChange")
	}
	if err != nil {
		return params.AddRelationResults{}, err
	}
	provider, requirer, err := m.pair(args.Endpoints)
	if params.ErrCode(err) == params.CodeNotFound && cn.ctl.config.Generation == Juju41 {
		a, b := args.Endpoints[0], args.Endpoints[1]
		err = fmt.Errorf("adding relation between endpoints %q and %q: cannot relate endpoints %q and %q: no candidates for %s and %s: relation endpoint not found", a, b, a, b, a, b)
	}
	if err != nil {
		return params.AddRelationResults{}, err
	}
	r := &relation{
		Interface: provider.Interface,
		Provider:  [2]string{provider.application, provider.Name},
		Requirer:  [2]string{requirer.application, requirer.Name},
		Since:     cn.ctl.clock.Now(),
	}
	for _, old := range m.Relations {
		if old.key() == r.key() {
			return params.AddRelationResults{}, coded(params.CodeAlreadyExists, "cannot add relation %q: relation %s", r.key(), r.key()+" already exists")
		}
	}
	r.ID = m.next("relation")
	m.Relations = append(m.Relations, r)
	cn.ctl.changed(m)
	return params.AddRelationResults{Endpoints: map[string]params.CharmRelation{
		provider.application: provider.CharmRelation, requirer.application: requirer.CharmRelation,
	}}, nil
}

func destroyRelation(cn *conn, args params.DestroyRelation) (none, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockRemove", "BlockChange")
	}
	if err != nil {
		return none{}, err
	}
	matches := func(r *relation) bool { return r.ID == args.RelationId }
	what := "relation " + strconv.Itoa(args.RelationId)
	if len(args.Endpoints) > 0 {
		provider, requirer, err := m.pair(args.Endpoints)
		if err != nil {
			return none{}, err
		}
		what = fmt.Sprintf("relation %q", requirer.application+":"+requirer.Name+" "+provider.application+":"+provider.Name)
		matches = func(r *relation) bool {
			return r.Provider == [2]string{provider.application, provider.Name} && r.Requirer == [2]string{requirer.application, requirer.Name}
		}
	}
	before := len(m.Relations)
	m.Relations = slices.DeleteFunc(m.Relations, matches)
	if len(m.Relations) == before && cn.ctl.config.Generation == Juju41 {
		return none{}, notFound("relation with endpoints %v or id %d", args.Endpoints, args.RelationId)
	}
	if len(m.Relations) == before {
		return none{}, notFound("%s", what)
	}
	cn.ctl.changed(m)
	return none{}, nil
}

func charmRelations(cn *conn, args params.ApplicationCharmRelations) (params.ApplicationCharmRelationsResults, error) {
	var results params.ApplicationCharmRelationsResults
	m, err := cn.readModel()
	if err != nil {
		return results, err
	}
	ends, err := m.ends(args.ApplicationName)
	if err != nil {
		return results, err
	}
	for _, e := range ends {
		results.CharmRelations = append(results.CharmRelations, e.Name)
	}
	return results, nil
}

func getCharmURLOrigin(cn *conn, args params.ApplicationGet) (params.CharmURLOriginResult, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.CharmURLOriginResult{}, err
	}
	a, err := m.application(args.ApplicationName)
	if err != nil {
		return params.CharmURLOriginResult{Error: asParams(err)}, nil
	}
	result := params.CharmURLOriginResult{URL: a.Charm}
	if a.Origin != nil {
		result.Origin = *a.Origin
	}
	return result, nil
}

func unitName(a *application, number int) string { return a.Name + "/" + strconv.Itoa(number) }

func applicationsInfo(cn *conn, args params.Entities) (params.ApplicationInfoResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.ApplicationInfoResults{}, err
	}
	var results params.ApplicationInfoResults
	for _, arg := range args.Entities {
		var result params.ApplicationInfoResult
		tag, err := names.ParseApplicationTag(arg.Tag)
		var a *application
		if err == nil {
			if a = m.Applications[tag.Id()]; a == nil {
				err = noApplication(cn.ctl, tag.Id())
			}
		}
		if err != nil {
			result.Error = asParams(err)
		} else {
			result.Result = &params.ApplicationResult{
				Tag: arg.Tag, Charm: storeName(a.Charm), Base: a.Base, Constraints: a.Constraints, Principal: true,
				Exposed: a.Exposed, ExposedEndpoints: a.ExposedEndpoints, Life: string(alive), EndpointBindings: map[string]string{"": "alpha"},
			}
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

func unitsInfo(cn *conn, args params.Entities) (params.UnitInfoResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.UnitInfoResults{}, err
	}
	var results params.UnitInfoResults
	for _, arg := range args.Entities {
		tag, err := names.ParseTag(arg.Tag)
		if err != nil {
			results.Results = append(results.Results, params.UnitInfoResult{Error: asParams(err)})
			continue
		}
		var units []string
		switch tag := tag.(type) {
		case names.UnitTag:
			units = []string{tag.Id()}
		case names.ApplicationTag:
			a := m.Applications[tag.Id()]
			if a == nil {
				results.Results = append(results.Results, params.UnitInfoResult{Error: asParams(noApplication(cn.ctl, tag.Id()))})
				continue
			}
			for _, number := range sortedKeys(a.Units) {
				units = append(units, unitName(a, number))
			}
		}
		for _, name := range units {
			a, u, err := m.unitNamed(name)
			if err != nil {
				results.Results = append(results.Results, params.UnitInfoResult{Error: asParams(err)})
				continue
			}
			results.Results = append(results.Results, params.UnitInfoResult{Result: &params.UnitResult{
				Tag: names.NewUnitTag(name).String(), Machine: u.Machine, OpenedPorts: []string{}, PublicAddress: "10.0.0." + u.Machine,
				Charm: a.Charm, Leader: u.Number == a.leader(), Life: string(alive),
			}})
		}
	}
	return results, nil
}

// leader is the number of the leading unit, -1 if there is none.
func (a *application) leader() int {
	if len(a.Units) == 0 {
		return -1
	}
	return sortedKeys(a.Units)[0]
}

func leader(cn *conn, arg params.Entity) (params.StringResult, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.StringResult{}, err
	}
	tag, err := names.ParseApplicationTag(arg.Tag)
	if err != nil {
		return params.StringResult{Error: asParams(err)}, nil
	}
	a, err := m.application(tag.Id())
	if err == nil && a.leader() < 0 {
		err = notFound("leader for %q", tag.Id())
	}
	if err != nil {
		return params.StringResult{Error: asParams(err)}, nil
	}
	return params.StringResult{Result: unitName(a, a.leader())}, nil
}

func resolveUnitErrors(cn *conn, args params.UnitsResolved) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Tags.Entities, func(arg params.Entity) error {
		tag, err := names.ParseUnitTag(arg.Tag)
		if err != nil {
			return err
		}
		if _, _, err := m.unitNamed(tag.Id()); err != nil {
			return err
		}
		return fmt.Errorf("unit %q is not in an error state", tag.Id())
	}), nil
}

func consume(cn *conn, args params.ConsumeApplicationArgsV5) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err == nil {
		err = m.blocked("BlockChange")
	}
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Args, func(arg params.ConsumeApplicationArgV5) error {
		name := arg.ApplicationAlias
		if name == "" {
			name = arg.OfferName
		}
		if !names.IsValidApplication(name) {
			return coded(params.CodeNotValid, "application alias %q not valid", name)
		}
		if m.Applications[name] != nil {
			return coded(params.CodeAlreadyExists, "saas application %q: local application already exists", name)
		}
		if m.Remotes == nil {
			m.Remotes = make(map[string]*remote)
		}
		m.Remotes[name] = &remote{Name: name, OfferURL: arg.OfferURL, OfferName: arg.OfferName, Endpoints: arg.Endpoints, Since: cn.ctl.clock.Now()}
		cn.ctl.changed(m)
		return nil
	}), nil
}

func destroyConsumedApplications(cn *conn, args params.DestroyConsumedApplicationsParams) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Applications, func(arg params.DestroyConsumedApplicationParams) error {
		tag, err := names.ParseApplicationTag(arg.ApplicationTag)
		if err != nil {
			return err
		}
		if m.Remotes[tag.Id()] == nil {
			return notFound("saas application %q", tag.Id())
		}
		delete(m.Remotes, tag.Id())
		m.Relations = slices.DeleteFunc(m.Relations, func(r *relation) bool { return r.Provider[0] == tag.Id() || r.Requirer[0] == tag.Id() })
		cn.ctl.changed(m)
		return nil
	}), nil
}
