package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/constraints"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
)

const (
	alive = life.Alive
	dying = life.Dying

	adminName = "admin"
)

// state is all that a controller remembers, and what its state file holds.
type state struct {
	UUID          string
	Address       string
	CACert, CAKey string
	AdminPassword string
	Created       time.Time
	Config        map[string]any
	// Users are those of the controller's own database, by id (bob,
	// alice@example.com). Those of tokens get there at their first login.
	Users map[string]*user
	// Clouds are by name, the credentials by tag id (cloud/owner/name).
	Clouds      map[string]*params.Cloud
	Credentials map[string]*params.CloudCredential
	// CloudDefaults are model defaults by cloud, then region or "".
	CloudDefaults map[string]map[string]map[string]any
	Models        map[string]*model
	// ControllerModel is the UUID of the model named controller.
	ControllerModel string
	// Sequence gives ids.
	Sequence int

	// byName finds a model's UUID by owner and name.
	byName map[[2]string]string
}

type user struct {
	Name, DisplayName string
	Password          string `json:",omitempty"`
	CreatedBy         string
	Created           time.Time
	LastConnection    *time.Time `json:",omitempty"`
	Disabled          bool       `json:",omitempty"`
	// Access is by tag.
	Access map[string]string `json:",omitempty"`
}

// model is a model. Maps are nil until they are needed: there can be many.
type model struct {
	UUID, Name string
	// Owner is the owner's id, what 4.x calls the qualifier.
	Owner         string
	Cloud, Region string
	// Credential is the id of the credential's tag, which may be empty.
	Credential   string
	Life         life.Value
	Created      time.Time
	Config       map[string]any          `json:",omitempty"`
	Constraints  constraints.Value       `json:",omitzero"`
	Applications map[string]*application `json:",omitempty"`
	Machines     map[string]*machine     `json:",omitempty"`
	Relations    []*relation             `json:",omitempty"`
	Offers       map[string]*offer       `json:",omitempty"`
	Remotes      map[string]*remote      `json:",omitempty"`
	Charms       map[string]*charmFile   `json:",omitempty"`
	// Pending are resources by pending id, of applications yet to be deployed.
	Pending     map[string]*resource `json:",omitempty"`
	Secrets     map[string]*secret   `json:",omitempty"`
	Operations  []*operation         `json:",omitempty"`
	Annotations map[string]map[string]string
	// Blocks are messages by type of block.
	Blocks map[string]string `json:",omitempty"`
	// SSHKeys are those users may log in to machines with.
	SSHKeys []string `json:",omitempty"`
	// Sequence counts machines, relations and operations.
	Sequence map[string]int `json:",omitempty"`

	// lines are the last of the debug log, of all that were logged.
	lines  []params.LogMessage
	logged int
	// watchers are told of every change.
	watchers map[*watcher]bool
}

func (m *model) tag() names.ModelTag { return names.NewModelTag(m.UUID) }

// next returns the next number of a sequence, from 0.
func (m *model) next(name string) int {
	if m.Sequence == nil {
		m.Sequence = make(map[string]int)
	}
	n := m.Sequence[name]
	m.Sequence[name] = n + 1
	return n
}

func (s *state) tag() names.ControllerTag { return names.NewControllerTag(s.UUID) }

// load reads the state file, or makes the state of a fresh controller.
func (c *Controller) load() error {
	c.state = &state{}
	if c.config.StateFile != "" {
		data, err := os.ReadFile(c.config.StateFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot read the state: %w", err)
		}
		if err == nil {
			if err := json.Unmarshal(data, c.state); err != nil {
				return fmt.Errorf("cannot read the state: %w", err)
			}
		}
	}
	s := c.state
	if s.UUID != "" && c.config.UUID != "" && s.UUID != c.config.UUID {
		return fmt.Errorf("%s holds controller %s, not %s", c.config.StateFile, s.UUID, c.config.UUID)
	}
	if s.UUID == "" {
		c.found(s)
	}
	s.byName = make(map[[2]string]string, len(s.Models))
	for _, m := range s.Models {
		s.byName[[2]string{m.Owner, m.Name}] = m.UUID
	}
	return nil
}

// found fills the state of a controller that was just bootstrapped.
func (c *Controller) found(s *state) {
	now := c.clock.Now()
	s.UUID = c.config.UUID
	if s.UUID == "" {
		s.UUID = newUUID()
	}
	if c.config.AdminPassword == "" {
		s.AdminPassword = newUUID()
	}
	s.Created = now
	s.Users = map[string]*user{
		adminName: {Name: adminName, DisplayName: adminName, CreatedBy: adminName, Created: now},
	}
	cloud := &params.Cloud{Type: c.config.Cloud.Type, AuthTypes: []string{"empty", "userpass", "certificate"}, IsControllerCloud: true}
	for _, region := range c.config.Cloud.Regions {
		cloud.Regions = append(cloud.Regions, params.CloudRegion{Name: region})
	}
	s.Clouds = map[string]*params.Cloud{c.config.Cloud.Name: cloud}
	s.Credentials = make(map[string]*params.CloudCredential)
	s.CloudDefaults = make(map[string]map[string]map[string]any)
	m := &model{
		UUID:    newUUID(),
		Name:    "controller",
		Owner:   adminName,
		Cloud:   c.config.Cloud.Name,
		Region:  c.config.Cloud.Regions[0],
		Life:    alive,
		Created: now,
	}
	s.Models = map[string]*model{m.UUID: m}
	s.ControllerModel = m.UUID
}

// markDirty has the state saved soon. It costs nothing without a file.
func (c *Controller) markDirty() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// saveInterval bounds how much a controller that is killed forgets.
const saveInterval = 200 * time.Millisecond

func (c *Controller) saveLoop() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.dirty:
		}
		if err := c.save(); err != nil {
			c.log.Error("cannot save the state", "err", err)
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.clock.After(saveInterval):
		}
	}
}

func (c *Controller) save() error {
	c.mu.RLock()
	data, err := json.Marshal(c.state)
	c.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("cannot save the state: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(c.config.StateFile), filepath.Base(c.config.StateFile)+".*")
	if err != nil {
		return fmt.Errorf("cannot save the state: %w", err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), c.config.StateFile)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot save the state: %w", err), os.Remove(file.Name()))
	}
	return nil
}
