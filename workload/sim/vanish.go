package sim

import "fmt"

// RemoveModel makes a model vanish, as if somebody had destroyed it behind the
// backs of all clients.
func (c *Controller) RemoveModel(uuid string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Models[uuid] == nil || uuid == c.state.ControllerModel {
		return fmt.Errorf("cannot remove model %q: there is none", uuid)
	}
	delete(c.state.Models, uuid)
	c.markDirty()
	return nil
}
