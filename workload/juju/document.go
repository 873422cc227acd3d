package juju

import (
	"time"

	"github.com/juju/names/v6"

	corebase "github.com/juju/juju/core/base"
	"github.com/juju/juju/core/model"
	"github.com/juju/juju/domain/deployment/charm"
	"github.com/juju/juju/rpc/params"
)

// document is an object of JSON.
type document map[string]any

// set sets a key unless the value is empty.
func (d document) set(key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case map[string]string:
		if len(v) == 0 {
			return
		}
	case document:
		if len(v) == 0 {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case bool:
		if !v {
			return
		}
	}
	d[key] = value
}

// documents makes one of each value of a map.
func documents[T any](values map[string]T, make func(T) document) document {
	all := document{}
	for key, v := range values {
		all[key] = make(v)
	}
	return all
}

// statusError is in the place of what could not be found out.
func statusError(err *params.Error) document { return document{"status-error": err.Message} }

// statusDocument is a model's status as "juju status --format json" of Juju 4
// prints it, with times as JUJU_STATUS_ISO_TIME has them. The command's own code
// would bring Juju's whole client and the libraries of all clouds along; an
// integration test compares the two.
func statusDocument(s params.FullStatus, controller string) document {
	f := formatter{relations: s.Relations}
	m := document{
		"name": s.Model.Name, "type": s.Model.Type, "controller": controller, "cloud": cloudOf(s.Model.CloudTag),
		"version": s.Model.Version, "model-status": detailed(s.Model.ModelStatus),
	}
	m.set("region", s.Model.CloudRegion)
	m.set("upgrade-available", s.Model.AvailableVersion)
	d := document{
		"model": m, "machines": documents(s.Machines, f.machine), "storage": storageDocument(s),
		"applications": document{},
	}
	for name, a := range s.Applications {
		d["applications"].(document)[name] = f.application(name, a)
	}
	d.set("application-endpoints", documents(s.RemoteApplicationOfferers, remoteApplication))
	d.set("offers", documents(s.Offers, offer))
	if s.ControllerTimestamp != nil {
		d["controller"] = document{"timestamp": s.ControllerTimestamp.UTC().Format("15:04:05")}
	}
	return d
}

func cloudOf(tag string) string {
	if cloud, err := names.ParseCloudTag(tag); err == nil {
		return cloud.Id()
	}
	return ""
}

// formatter knows the relations that parts of a status speak of.
type formatter struct {
	relations []params.RelationStatus
}

func isoTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// plainStatus has what all statuses have, detailed some more.
func plainStatus(s params.DetailedStatus) document {
	if s.Err != nil {
		return statusError(s.Err)
	}
	d := document{}
	d.set("current", s.Status)
	d.set("message", s.Info)
	d.set("since", isoTime(s.Since))
	d.set("version", s.Version)
	return d
}

func detailed(s params.DetailedStatus) document {
	d := plainStatus(s)
	if s.Err == nil {
		if reason, ok := s.Data["reason"].(string); ok {
			d.set("reason", reason)
		}
		d.set("life", string(s.Life))
	}
	return d
}

func base(b params.Base) any {
	channel, err := corebase.ParseChannel(b.Channel)
	if err != nil {
		return nil
	}
	return document{"name": b.Name, "channel": channel.DisplayString()}
}

func (f formatter) machine(m params.MachineStatus) document {
	d := document{
		"juju-status": detailed(m.AgentStatus), "machine-status": detailed(m.InstanceStatus),
		"modification-status": detailed(m.ModificationStatus),
	}
	d.set("hostname", m.Hostname)
	d.set("dns-name", m.DNSName)
	d.set("ip-addresses", m.IPAddresses)
	d.set("instance-id", string(m.InstanceId))
	d.set("display-name", m.DisplayName)
	if m.Base.Channel != "" {
		if b := base(m.Base); b != nil {
			d["base"] = b
		}
	}
	d.set("network-interfaces", documents(m.NetworkInterfaces, networkInterface))
	d.set("containers", documents(m.Containers, f.machine))
	d.set("constraints", m.Constraints)
	d.set("hardware", m.Hardware)
	d.set("lxd-profiles", documents(m.LXDProfiles, func(p params.LXDProfile) document {
		return document{"config": p.Config, "description": p.Description, "devices": p.Devices}
	}))
	for _, job := range m.Jobs {
		if job == model.JobManageModel {
			d["controller-member-status"] = memberStatus(m.HasVote, m.WantsVote)
			if m.PrimaryControllerMachine != nil {
				d["ha-primary"] = *m.PrimaryControllerMachine
			}
			if m.ClusterRole != nil {
				d["controller-cluster-role"] = *m.ClusterRole
			}
		}
	}
	return d
}

func memberStatus(has, wants bool) string {
	switch {
	case has && wants:
		return "has-vote"
	case has:
		return "removing-vote"
	case wants:
		return "adding-vote"
	}
	return "no-vote"
}

func networkInterface(n params.NetworkInterface) document {
	d := document{"ip-addresses": n.IPAddresses, "mac-address": n.MACAddress, "is-up": n.IsUp}
	d.set("gateway", n.Gateway)
	d.set("dns-nameservers", n.DNSNameservers)
	d.set("space", n.Space)
	return d
}

func (f formatter) application(name string, a params.ApplicationStatus) document {
	if a.Err != nil {
		return statusError(a.Err)
	}
	d := document{
		"charm": "", "charm-origin": "", "charm-name": "", "charm-rev": 0, "exposed": a.Exposed,
		"application-status": plainStatus(a.Status),
	}
	if url, err := charm.ParseURL(a.Charm); err == nil {
		d["charm"], d["charm-origin"], d["charm-name"], d["charm-rev"] = a.Charm, "unknown", url.Name, url.Revision
		switch {
		case charm.CharmHub.Matches(url.Schema):
			d["charm"], d["charm-origin"] = url.Name, "charmhub"
		case charm.Local.Matches(url.Schema):
			d["charm-origin"] = "local"
		}
	}
	if b := base(a.Base); b != nil {
		d["base"] = b
	}
	d.set("charm-channel", a.CharmChannel)
	d.set("charm-version", a.CharmVersion)
	d.set("charm-profile", a.CharmProfile)
	d.set("can-upgrade-to", a.CanUpgradeTo)
	d.set("scale", a.Scale)
	d.set("provider-id", a.ProviderId)
	d.set("address", a.PublicAddress)
	d.set("life", string(a.Life))
	d.set("subordinate-to", a.SubordinateTo)
	d.set("version", a.WorkloadVersion)
	d.set("endpoint-bindings", a.EndpointBindings)
	relations := document{}
	for relation, others := range a.Relations {
		relations[relation] = f.related(name, relation, others)
	}
	d.set("relations", relations)
	d.set("units", documents(a.Units, func(u params.UnitStatus) document { return f.unit(name, u) }))
	return d
}

// related are the applications at the other end of a relation.
func (f formatter) related(application, name string, others []string) []document {
	list := []document{}
	for _, other := range others {
		r := f.between(application, name, other)
		if r == nil {
			continue
		}
		d := document{"related-application": other}
		d.set("interface", r.Interface)
		d.set("scope", r.Scope)
		list = append(list, d)
	}
	return list
}

// between finds the relation of an application, by its own name for it, to
// another, or to its own units.
func (f formatter) between(application, name, other string) *params.RelationStatus {
	for i, r := range f.relations {
		own, far := -1, -1
		for e, endpoint := range r.Endpoints {
			switch {
			case own < 0 && endpoint.ApplicationName == application && endpoint.Name == name:
				own = e
			case endpoint.ApplicationName == other:
				far = e
			}
		}
		peers := application == other && len(r.Endpoints) == 1
		if own >= 0 && (peers || len(r.Endpoints) == 2 && far >= 0) {
			return &f.relations[i]
		}
	}
	return nil
}

func (f formatter) unit(application string, u params.UnitStatus) document {
	if u.WorkloadStatus.Err != nil {
		return statusError(u.WorkloadStatus.Err)
	}
	workload := document{}
	if u.WorkloadStatus.Status != "" {
		workload = plainStatus(u.WorkloadStatus)
	}
	if u.WorkloadStatus.Status == "error" {
		if other := f.otherEnd(application, u.WorkloadStatus.Data["relation-id"]); other != "" {
			workload["message"] = u.WorkloadStatus.Info + " for " + other
		}
	}
	d := document{"workload-status": workload, "juju-status": plainStatus(u.AgentStatus)}
	d.set("leader", u.Leader)
	d.set("upgrading-from", u.Charm)
	d.set("machine", u.Machine)
	d.set("open-ports", u.OpenedPorts)
	d.set("public-address", u.PublicAddress)
	d.set("address", u.Address)
	d.set("provider-id", u.ProviderId)
	d.set("subordinates", documents(u.Subordinates, func(s params.UnitStatus) document { return f.unit(application, s) }))
	return d
}

// otherEnd is the endpoint that a failed relation hook of an application was about.
func (f formatter) otherEnd(application string, id any) string {
	number, ok := id.(float64)
	if !ok {
		return ""
	}
	for _, r := range f.relations {
		if r.Id != int(number) {
			continue
		}
		for _, e := range r.Endpoints {
			if e.ApplicationName != application {
				return e.String()
			}
		}
	}
	return ""
}

func remoteApplication(a params.RemoteApplicationStatus) document {
	if a.Err != nil {
		return statusError(a.Err)
	}
	d := document{"url": a.OfferURL, "application-status": plainStatus(a.Status)}
	endpoints := document{}
	for _, e := range a.Endpoints {
		endpoints[e.Name] = document{"interface": e.Interface, "role": string(e.Role)}
	}
	d.set("endpoints", endpoints)
	d.set("life", string(a.Life))
	if len(a.Relations) > 0 {
		d["relations"] = a.Relations
	}
	return d
}

func offer(o params.ApplicationOfferStatus) document {
	if o.Err != nil {
		return statusError(o.Err)
	}
	d := document{"application": o.ApplicationName, "endpoints": documents(o.Endpoints, func(e params.RemoteEndpoint) document {
		return document{"interface": e.Interface, "role": string(e.Role)}
	})}
	d.set("charm", o.CharmURL)
	d.set("total-connected-count", o.TotalConnectedCount)
	d.set("active-connected-count", o.ActiveConnectedCount)
	return d
}
