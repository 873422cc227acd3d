package sim

import (
	"fmt"
	"maps"
)

// RemoveModel makes a model vanish, as if somebody had destroyed it behind the
// backs of all clients.
func (c *Controller) RemoveModel(uuid string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[uuid]
	if m == nil || uuid == c.state.ControllerModel {
		return fmt.Errorf("cannot remove model %q: there is none", uuid)
	}
	delete(c.state.Models, uuid)
	delete(c.state.byName, [2]string{m.Owner, m.Name})
	c.markDirty()
	return nil
}

// ModelConfig returns what a model's config was set to; nil if there is no such
// model.
func (c *Controller) ModelConfig(uuid string) map[string]any {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if m := c.state.Models[uuid]; m != nil {
		return maps.Clone(m.Config)
	}
	return nil
}
