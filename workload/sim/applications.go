package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juju/juju/core/constraints"
	"github.com/juju/juju/core/instance"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
)

var defaultBase = params.Base{Name: "ubuntu", Channel: "24.04/stable"}

// application is a deployed charm.
type application struct {
	Name string
	// Charm is the charm's URL (local:labapp-0).
	Charm            string
	Base             params.Base
	Since            time.Time
	Exposed          bool                              `json:",omitempty"`
	ExposedEndpoints map[string]params.ExposedEndpoint `json:",omitempty"`
	Config           map[string]any                    `json:",omitempty"`
	Constraints      constraints.Value                 `json:",omitzero"`
	Units            map[int]*unit                     `json:",omitempty"`
	NextUnit         int                               `json:",omitempty"`
	Resources        map[string]*resource              `json:",omitempty"`
	Origin           *params.CharmOrigin               `json:",omitempty"`
}

type unit struct {
	Number  int
	Machine string
	Since   time.Time
}

type machine struct {
	ID    string
	Base  params.Base
	Since time.Time
}

// relation is between two endpoints, each application:endpoint.
type relation struct {
	ID        int
	Interface string
	// Provider and Requirer are [application, endpoint].
	Provider, Requirer [2]string
	Since              time.Time
}

func (r *relation) key() string {
	return r.Requirer[0] + ":" + r.Requirer[1] + " " + r.Provider[0] + ":" + r.Provider[1]
}

// addApplication deploys an application with n units, each on a machine of its
// own, all at once active and idle. The state must be locked.
func (c *Controller) addApplication(m *model, a *application, n int) {
	if m.Applications == nil {
		m.Applications = make(map[string]*application)
	}
	a.Since = c.clock.Now()
	m.Applications[a.Name] = a
	for range n {
		c.addUnit(m, a)
	}
	c.changed(m)
}

// addUnit adds a unit on a new machine and returns its name.
func (c *Controller) addUnit(m *model, a *application) string {
	now := c.clock.Now()
	id := strconv.Itoa(m.next("machine"))
	if m.Machines == nil {
		m.Machines = make(map[string]*machine)
	}
	m.Machines[id] = &machine{ID: id, Base: a.Base, Since: now}
	if a.Units == nil {
		a.Units = make(map[int]*unit)
	}
	u := &unit{Number: a.NextUnit, Machine: id, Since: now}
	a.NextUnit++
	a.Units[u.Number] = u
	return fmt.Sprintf("%s/%d", a.Name, u.Number)
}

// removeUnit removes a unit and its machine.
func (c *Controller) removeUnit(m *model, a *application, number int) {
	if u := a.Units[number]; u != nil {
		delete(m.Machines, u.Machine)
		delete(a.Units, number)
	}
}

// removeApplication removes an application and all that hangs on it.
func (c *Controller) removeApplication(m *model, a *application) {
	for number := range a.Units {
		c.removeUnit(m, a, number)
	}
	m.Relations = slices.DeleteFunc(m.Relations, func(r *relation) bool {
		return r.Provider[0] == a.Name || r.Requirer[0] == a.Name
	})
	delete(m.Applications, a.Name)
	c.changed(m)
}

func (m *model) application(name string) (*application, error) {
	a := m.Applications[name]
	if a == nil {
		return nil, notFound("application %q", name)
	}
	return a, nil
}

// unitNamed returns a unit and its application.
func (m *model) unitNamed(name string) (*application, *unit, error) {
	appName, number, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(number)
	a := m.Applications[appName]
	if err != nil || a == nil || a.Units[n] == nil {
		return nil, nil, notFound("unit %q", name)
	}
	return a, a.Units[n], nil
}

func (m *model) unitCount() int {
	n := 0
	for _, a := range m.Applications {
		n += len(a.Units)
	}
	return n
}

func (m *model) machineInfo() []params.ModelMachineInfo {
	info := []params.ModelMachineInfo{}
	for _, id := range sortedKeys(m.Machines) {
		cores := uint64(1)
		info = append(info, params.ModelMachineInfo{
			Id: id, InstanceId: instanceID(m, id), Status: "started", Hardware: &params.MachineHardware{Cores: &cores},
		})
	}
	return info
}

func instanceID(m *model, machine string) string { return "juju-" + m.UUID[:6] + "-" + machine }

// blocked tells whether any of some types of block is on.
func (m *model) blocked(kinds ...string) error {
	for _, kind := range kinds {
		if message, on := m.Blocks[kind]; on {
			if message == "" {
				message = "the operation has been blocked"
			}
			return coded(params.CodeOperationBlocked, "%s", message)
		}
	}
	return nil
}

// fullStatus is what juju status shows.
func (c *Controller) fullStatus(m *model) params.FullStatus {
	now := c.clock.Now()
	status := params.FullStatus{
		Model: params.ModelStatusInfo{
			Name:        m.Name,
			Type:        "iaas",
			CloudTag:    "cloud-" + m.Cloud,
			CloudRegion: m.Region,
			Version:     c.config.Generation.String(),
			ModelStatus: params.DetailedStatus{Status: string(m.status().Status), Info: m.status().Info, Since: &m.Created, Life: m.Life, Data: map[string]any{}},
		},
		Machines:                  make(map[string]params.MachineStatus, len(m.Machines)),
		Applications:              make(map[string]params.ApplicationStatus, len(m.Applications)),
		RemoteApplicationOfferers: make(map[string]params.RemoteApplicationStatus, len(m.Remotes)),
		Offers:                    make(map[string]params.ApplicationOfferStatus, len(m.Offers)),
		Relations:                 []params.RelationStatus{},
		ControllerTimestamp:       &now,
		Branches:                  map[string]params.BranchStatus{},
	}
	for id, machine := range m.Machines {
		status.Machines[id] = params.MachineStatus{
			AgentStatus:        c.detail("started", "", machine.Since),
			InstanceStatus:     c.detail("running", "Running", machine.Since),
			ModificationStatus: c.detail("idle", "", machine.Since),
			Hostname:           instanceID(m, id),
			DNSName:            "10.0.0." + id,
			IPAddresses:        []string{"10.0.0." + id},
			InstanceId:         instance.Id(instanceID(m, id)),
			Base:               machine.Base,
			Id:                 id,
			Containers:         map[string]params.MachineStatus{},
			Hardware:           "arch=amd64 cores=1 mem=1024M",
			LXDProfiles:        map[string]params.LXDProfile{},
		}
	}
	for name, a := range m.Applications {
		status.Applications[name] = c.applicationStatus(m, a)
	}
	for _, r := range m.Relations {
		status.Relations = append(status.Relations, params.RelationStatus{
			Id:        r.ID,
			Key:       r.key(),
			Interface: r.Interface,
			Scope:     "global",
			Endpoints: []params.EndpointStatus{
				{ApplicationName: r.Provider[0], Name: r.Provider[1], Role: "provider"},
				{ApplicationName: r.Requirer[0], Name: r.Requirer[1], Role: "requirer"},
			},
			Status: c.detail("joined", "", r.Since),
		})
	}
	for name, o := range m.Offers {
		status.Offers[name] = o.status(m)
	}
	for name, r := range m.Remotes {
		status.RemoteApplicationOfferers[name] = r.status(c)
	}
	return status
}

func (c *Controller) detail(status, info string, since time.Time) params.DetailedStatus {
	return params.DetailedStatus{
		Status: status, Info: info, Since: &since, Life: life.Alive, Data: map[string]any{}, Version: c.config.Generation.String(),
	}
}

func (c *Controller) applicationStatus(m *model, a *application) params.ApplicationStatus {
	status := params.ApplicationStatus{
		Charm:            a.Charm,
		CharmRev:         charmRevision(a.Charm),
		Base:             a.Base,
		Exposed:          a.Exposed,
		ExposedEndpoints: a.ExposedEndpoints,
		Life:             life.Alive,
		Relations:        map[string][]string{},
		SubordinateTo:    []string{},
		Units:            make(map[string]params.UnitStatus, len(a.Units)),
		Status:           c.detail("active", "", a.Since),
		EndpointBindings: map[string]string{},
	}
	for _, r := range m.Relations {
		for _, ends := range [][2][2]string{{r.Provider, r.Requirer}, {r.Requirer, r.Provider}} {
			if ends[0][0] == a.Name {
				status.Relations[ends[0][1]] = append(status.Relations[ends[0][1]], ends[1][0])
			}
		}
	}
	leader := -1
	for number := range a.Units {
		if leader < 0 || number < leader {
			leader = number
		}
	}
	for number, u := range a.Units {
		status.Units[fmt.Sprintf("%s/%d", a.Name, number)] = params.UnitStatus{
			AgentStatus:    c.detail("idle", "", u.Since),
			WorkloadStatus: c.detail("active", "", u.Since),
			Machine:        u.Machine,
			OpenedPorts:    []string{},
			PublicAddress:  "10.0.0." + u.Machine,
			Subordinates:   map[string]params.UnitStatus{},
			Leader:         number == leader,
		}
	}
	return status
}

func charmRevision(url string) int {
	if i := strings.LastIndex(url, "-"); i >= 0 {
		if revision, err := strconv.Atoi(url[i+1:]); err == nil {
			return revision
		}
	}
	return 0
}
