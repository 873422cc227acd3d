package estate

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Overview is how many of what the estate has.
type Overview struct {
	Controllers []ControllerOverview
	Clouds      []Count
	Versions    []Count // of controllers
	// Models counts all; Dying those that are to be destroyed, Gone those that
	// their controllers do not know any more.
	Models, Dying, Gone int
}

// ControllerOverview is one controller, and how many models it has.
type ControllerOverview struct {
	Controller
	Models int
}

// Count is how many have a name.
type Count struct {
	Name        string
	Controllers int
	Models      int
}

// Overview counts controllers and models by controller, cloud and version, from
// what is known of them: no controller is asked. Needs administrator of JIMM.
func (e *Estate) Overview(ctx context.Context, u User) (Overview, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Overview{}, err
	}
	controllers, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return Overview{}, err
	}
	models, err := e.Store.ListedModels(ctx, nil, false)
	if err != nil {
		return Overview{}, err
	}
	var o Overview
	clouds, versions, on := map[string]Count{}, map[string]Count{}, map[string]int{}
	for _, m := range models {
		o.Models++
		on[m.ControllerUUID]++
		count := clouds[m.Cloud]
		count.Models++
		clouds[m.Cloud] = count
		if m.State == ModelDying {
			o.Dying++
		}
		if !m.GoneSince.IsZero() {
			o.Gone++
		}
	}
	for _, c := range controllers {
		o.Controllers = append(o.Controllers, ControllerOverview{c, on[c.UUID]})
		served, err := e.Store.CloudsServedBy(ctx, c.UUID)
		if err != nil {
			return Overview{}, err
		}
		for _, cloud := range served {
			count := clouds[cloud]
			count.Controllers++
			clouds[cloud] = count
		}
		count := versions[c.AgentVersion]
		count.Controllers++
		count.Models += on[c.UUID]
		versions[c.AgentVersion] = count
	}
	o.Clouds, o.Versions = counts(clouds), counts(versions)
	return o, nil
}

func counts(by map[string]Count) []Count {
	list := make([]Count, 0, len(by))
	for name, count := range by {
		count.Name = name
		list = append(list, count)
	}
	slices.SortFunc(list, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Status is what lists show of a controller, and since when if that is known.
func (c Controller) Status() (status string, since time.Time) {
	switch {
	case !c.UnavailableSince.IsZero():
		return "unavailable", c.UnavailableSince
	case c.Deprecated:
		return "deprecated", time.Time{}
	}
	return "available", time.Time{}
}
