package estate

import (
	"context"
	"strings"
	"sync"

	"github.com/juju/names/v6"
)

// Route is the way of one user to one model.
type Route struct {
	Model      Model
	Controller Controller
	// Claims are what the user may do there and on the model, nothing more.
	Claims Claims

	// asOf is how many changes of access had been heard of before the claims were
	// looked up.
	asOf uint64
}

// errNoModel is the same for a model that is not there and for one that the
// user may not see, so that nobody learns which UUIDs exist.
func errNoModel(what string) *Error {
	return Errorf(CodeModelNotFound, "model %q not found", what)
}

// Route finds the controller of a model for a user. CodeModelNotFound if there
// is no such model or the user may not read it.
func (e *Estate) Route(ctx context.Context, u User, modelUUID string) (Route, error) {
	if !names.IsValidModel(modelUUID) {
		return Route{}, errNoModel(clip(modelUUID))
	}
	asOf := e.holds.asOf()
	// Both take their time of every login, and neither needs the other.
	var m Model
	var c Controller
	var loadErr error
	var loading sync.WaitGroup
	loading.Go(func() {
		if m, loadErr = e.Store.Model(ctx, modelUUID); loadErr == nil {
			c, loadErr = e.Store.Controller(ctx, m.ControllerUUID)
		}
	})
	access, err := e.modelAccess(ctx, u, Object{KindModel, modelUUID})
	loading.Wait()
	if err != nil {
		return Route{}, err
	}
	if access == "" || Is(loadErr, CodeModelNotFound) {
		return Route{}, errNoModel(modelUUID)
	}
	if loadErr != nil {
		return Route{}, loadErr
	}
	// A controller login needs some claim to the controller, also for a model.
	// Who administers the controller, too, gets that into a token only when the
	// controller asks for it (Widen).
	return Route{Model: m, Controller: c, Claims: Claims{m.tag(): access, c.tag(): AccessLogin}, asOf: asOf}, nil
}

// modelAccess returns what a user may do on a model, empty if they may not even
// read it.
func (e *Estate) modelAccess(ctx context.Context, u User, model Object) (string, error) {
	admin, err := e.Permissions.Check(ctx, u, Administrator, model)
	if err != nil || admin {
		return AccessAdmin, err
	}
	has, err := e.Permissions.CheckEach(ctx, u, []Question{{Writer, model}, {Reader, model}})
	switch {
	case err != nil:
		return "", err
	case has[0]:
		return AccessWrite, nil
	case has[1]:
		return AccessRead, nil
	}
	return "", nil
}

// Widen answers a controller that says which access a request needs: it
// returns the claims the user has now, with those required, or an Error with
// CodeUnauthorized if the user lacks any.
func (e *Estate) Widen(ctx context.Context, u User, r Route, have Claims, required map[string]string) (Claims, error) {
	if len(required) == 0 {
		return nil, errPermission
	}
	claims := make(Claims, len(have)+len(required))
	for tag, access := range have {
		claims[tag] = access
	}
	var questions []Question
	for tag, access := range required {
		q, err := e.requirement(r, tag, access)
		if err != nil {
			return nil, err
		}
		if q != nil {
			questions = append(questions, *q)
		}
		claims[tag] = access
	}
	has, err := e.Permissions.CheckEach(ctx, u, questions)
	if err != nil {
		return nil, err
	}
	for _, ok := range has {
		if !ok {
			return nil, errPermission
		}
	}
	return claims, nil
}

// requirement turns a controller's requirement, tag and access word, into a
// question for OpenFGA; nil if every user of the estate has it.
func (e *Estate) requirement(r Route, tag, access string) (*Question, error) {
	parsed, err := names.ParseTag(tag)
	if err != nil {
		return nil, errPermission
	}
	switch t := parsed.(type) {
	case names.ControllerTag:
		// A controller can only speak for itself.
		if t.Id() != r.Controller.UUID {
			return nil, errPermission
		}
		if access == AccessLogin {
			return nil, nil
		}
		if access == AccessSuperuser {
			return &Question{Administrator, r.Controller.Object()}, nil
		}
	case names.ModelTag:
		if rel, ok := modelRelations[access]; ok {
			return &Question{rel, Object{KindModel, t.Id()}}, nil
		}
	case names.CloudTag:
		if rel, ok := cloudRelations[access]; ok {
			return &Question{rel, Object{KindCloud, t.Id()}}, nil
		}
	case names.ApplicationOfferTag:
		if rel, ok := offerRelations[access]; ok {
			return &Question{rel, Object{KindOffer, t.Id()}}, nil
		}
	}
	return nil, errPermission
}

var (
	modelRelations = map[string]Relation{AccessRead: Reader, AccessWrite: Writer, AccessAdmin: Administrator}
	cloudRelations = map[string]Relation{AccessAddModel: CanAddModel, AccessAdmin: Administrator}
	offerRelations = map[string]Relation{AccessRead: Reader, AccessConsume: Consumer, AccessAdmin: Administrator}
)

func (m Model) tag() string      { return names.NewModelTag(m.UUID).String() }
func (c Controller) tag() string { return names.NewControllerTag(c.UUID).String() }

// clip makes client-given text fit for an error message.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
