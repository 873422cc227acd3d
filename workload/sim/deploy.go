package sim

// Deploy deploys an application with one unit to a model, as somebody who works
// on the controller itself would.
func (c *Controller) Deploy(modelUUID, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[modelUUID]
	if m == nil {
		return notFound("model %q", modelUUID)
	}
	c.addApplication(m, &application{Name: name, Charm: c.storeCharm(m, name, 1).Charm.URL, Base: defaultBase}, 1)
	c.changed(m)
	return nil
}
