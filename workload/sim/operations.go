package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// operation is actions that were queued together. Its units run them after a
// while, with success.
type operation struct {
	ID       string
	Summary  string
	Enqueued time.Time
	Tasks    []*task
}

type task struct {
	ID         string
	Unit       string
	Name       string
	Parameters map[string]any
	Status     string
	Enqueued   time.Time
	Started    time.Time      `json:",omitzero"`
	Completed  time.Time      `json:",omitzero"`
	Output     map[string]any `json:",omitempty"`
}

func (t *task) result() params.ActionResult {
	receiver := names.NewUnitTag(t.Unit).String()
	return params.ActionResult{
		Action: &params.Action{
			Tag: names.NewActionTag(t.ID).String(), Receiver: receiver, Name: t.Name, Parameters: t.Parameters,
		},
		Enqueued: t.Enqueued, Started: t.Started, Completed: t.Completed, Status: t.Status, Output: t.Output,
	}
}

func (o *operation) result() params.OperationResult {
	r := params.OperationResult{
		OperationTag: names.NewOperationTag(o.ID).String(), Summary: o.Summary, Enqueued: o.Enqueued, Status: params.ActionCompleted,
	}
	for _, t := range o.Tasks {
		if t.Status != params.ActionCompleted {
			r.Status = t.Status
		}
		r.Started, r.Completed = t.Started, t.Completed
		r.Actions = append(r.Actions, t.result())
	}
	return r
}

// enqueue queues an action for units. The state must be locked.
func (c *Controller) enqueue(m *model, name string, parameters map[string]any, units []string) *operation {
	now := c.clock.Now()
	o := &operation{ID: strconv.Itoa(m.next("operation") + 1), Enqueued: now}
	o.Summary = fmt.Sprintf("%s run on %s", name, strings.Join(units, ","))
	for _, unit := range units {
		o.Tasks = append(o.Tasks, &task{
			ID: strconv.Itoa(m.next("operation") + 1), Unit: unit, Name: name, Parameters: parameters, Status: params.ActionPending, Enqueued: now,
		})
	}
	m.Operations = append(m.Operations, o)
	c.changed(m)
	c.tasks.Go(func() {
		select {
		case <-c.ctx.Done():
			return
		case <-c.clock.After(c.config.RemovalDelay):
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		done := c.clock.Now()
		for _, t := range o.Tasks {
			if t.Status == params.ActionPending {
				t.Status, t.Started, t.Completed = params.ActionCompleted, done, done
				t.Output = map[string]any{"return-code": 0, "simulated": true}
			}
		}
		c.changed(m)
	})
	return o
}
