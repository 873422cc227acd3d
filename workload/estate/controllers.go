package estate

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/semversion"
	jujuversion "github.com/juju/juju/core/version"
	"github.com/juju/juju/rpc/params"
)

// AddControllerArgs says how to reach a controller, and as whom to take it in.
type AddControllerArgs struct {
	Name string
	// UUID is checked against what the controller says, unless empty.
	UUID          string
	PublicAddress string
	Addresses     []string
	CACertificate string
	TLSHostname   string
	// Username and Password are of an administrator of the controller.
	Username, Password string
}

// controllerName is what a controller may be called: as Juju's own rule, and
// short enough to print.
var controllerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)

// ReservedControllerName is what relations call JIMM itself.
const ReservedControllerName = "jimm"

func (a AddControllerArgs) validate() error {
	fail := func(format string, args ...any) error {
		return Errorf(CodeBadRequest, "cannot add controller %q: "+format, append([]any{clip(a.Name)}, args...)...)
	}
	switch {
	case !controllerName.MatchString(a.Name):
		return fail("a name has up to 63 letters, digits, dots, hyphens and underscores, and starts with a letter or digit")
	case a.Name == ReservedControllerName:
		return fail("this name stands for JIMM itself")
	case a.UUID != "" && !names.IsValidController(a.UUID):
		return fail("%q is not a UUID", clip(a.UUID))
	case a.PublicAddress == "" && len(a.Addresses) == 0:
		return fail("it needs a public address or API addresses, as host:port")
	case a.Username == "" || a.Password == "":
		return fail("it needs the name and password of one of its administrators")
	}
	if a.PublicAddress != "" && !isHostPort(a.PublicAddress) {
		return fail("public address must be host:port, not %q", clip(a.PublicAddress))
	}
	for _, address := range a.Addresses {
		if !isHostPort(address) {
			return fail("API address must be host:port, not %q", clip(address))
		}
	}
	return nil
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, "/ \x00") || len(host) > 253 {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 1<<16
}

// ControllerSecretPath is where the administrator's name and password of a
// controller are kept, under "username" and "password".
func ControllerSecretPath(uuid string) string { return "controllers/" + uuid }

// AddController takes a controller into the estate: it logs in there, checks
// who answers, and imports its clouds. Needs administrator of JIMM.
// CodeAlreadyExists if name or UUID is taken, CodeConnectionFailed if it
// cannot be reached or verified, CodeBadRequest for arguments that make no sense.
func (e *Estate) AddController(ctx context.Context, u User, args AddControllerArgs) (Controller, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Controller{}, err
	}
	if err := args.validate(); err != nil {
		return Controller{}, err
	}
	// What a dead process left of the same controller is undone first.
	if err := e.undoStaleController(ctx, args.Name); err != nil {
		return Controller{}, err
	}
	now := e.Now()
	c := Controller{
		Name: args.Name, UUID: args.UUID, State: ControllerAdding,
		PublicAddress: args.PublicAddress, Addresses: args.Addresses,
		CACertificate: args.CACertificate, TLSHostname: args.TLSHostname,
		CreatedAt: now, UpdatedAt: now,
	}
	dialing, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	facts, err := e.Peers.Probe(dialing, c, args.Username, args.Password)
	if err != nil {
		return Controller{}, reword(err, "cannot add controller %q", args.Name)
	}
	if args.UUID != "" && args.UUID != facts.UUID {
		return Controller{}, Errorf(CodeBadRequest, "cannot add controller %q: it says its UUID is %s, not %s", args.Name, facts.UUID, args.UUID)
	}
	c.UUID, c.AgentVersion, c.Cloud, c.Region = facts.UUID, facts.AgentVersion, facts.Cloud, facts.Region
	if len(c.Addresses) == 0 && c.PublicAddress == "" {
		c.Addresses = facts.Addresses
	}
	if err := e.Store.InsertController(ctx, c); err != nil {
		return Controller{}, reword(err, "cannot add controller %q", args.Name)
	}
	e.step("controller inserted")
	err = e.completeController(ctx, c, facts.Clouds, map[string]string{"username": args.Username, "password": args.Password})
	if err != nil {
		// The intent is there: what cannot be undone now, a sweep will.
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
		defer cancel()
		if undo := e.forgetController(undoing, c); undo != nil {
			e.Log.ErrorContext(ctx, "cannot undo the adding of a controller yet", "controller", c.Name, "error", undo)
		}
		return Controller{}, reword(err, "cannot add controller %q", args.Name)
	}
	c.State = ControllerLive
	return c, nil
}

// completeController has the effects of adding a controller; all can be repeated.
func (e *Estate) completeController(ctx context.Context, c Controller, clouds map[names.CloudTag]params.Cloud, login map[string]string) error {
	if err := e.Secrets.Put(ctx, ControllerSecretPath(c.UUID), login); err != nil {
		return err
	}
	e.step("controller secret stored")
	if err := e.importClouds(ctx, c, clouds); err != nil {
		return err
	}
	e.step("controller clouds saved")
	if err := e.Permissions.Write(ctx, controllerTuples(e.selfObject(), c, clouds), nil); err != nil {
		return err
	}
	e.step("controller tuples written")
	return e.Store.SetControllerState(ctx, c.UUID, ControllerAdding, ControllerLive)
}

// controllerTuples are the tuples of a new controller: it belongs to JIMM, its
// clouds belong to it, and everyone may add models on it and on its own cloud
// until an administrator takes that away.
func controllerTuples(jimm Object, c Controller, clouds map[names.CloudTag]params.Cloud) []Tuple {
	everyone := Subject{Object: Object{KindUser, EveryoneID}}
	tuples := []Tuple{
		{Subject{Object: jimm}, InController, c.Object()},
		{everyone, CanAddModel, c.Object()},
	}
	for tag := range clouds {
		cloud := Object{KindCloud, tag.Id()}
		tuples = append(tuples, Tuple{Subject{Object: c.Object()}, InController, cloud})
		if tag.Id() == c.Cloud {
			tuples = append(tuples, Tuple{everyone, CanAddModel, cloud})
		}
	}
	return tuples
}

// importClouds saves the clouds a controller has and which regions it serves.
// A cloud without regions has one, "default", that only we know.
func (e *Estate) importClouds(ctx context.Context, c Controller, clouds map[names.CloudTag]params.Cloud) error {
	var list []Cloud
	var serves []RegionController
	for tag, details := range clouds {
		details.IsControllerCloud = false // true of this controller, not of the estate
		list = append(list, Cloud{Name: tag.Id(), Details: details})
		regions := details.Regions
		if len(regions) == 0 {
			regions = []params.CloudRegion{{Name: NoRegion}}
		}
		for _, region := range regions {
			priority := RegionSupported
			if tag.Id() == c.Cloud && (region.Name == c.Region || c.Region == "") {
				priority = RegionDeployed
			}
			serves = append(serves, RegionController{tag.Id(), region.Name, c.UUID, priority})
		}
	}
	return e.Store.SaveClouds(ctx, c.UUID, list, serves)
}

// NoRegion is the region of a cloud that has none.
const NoRegion = "default"

// ListControllers returns the controllers that u may add models to; all for an
// administrator of JIMM.
func (e *Estate) ListControllers(ctx context.Context, u User) ([]Controller, error) {
	all, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return nil, err
	}
	questions := make([]Question, len(all))
	for i, c := range all {
		questions[i] = Question{CanAddModel, c.Object()}
	}
	has, err := e.Permissions.CheckEach(ctx, u, questions)
	if err != nil {
		return nil, err
	}
	var visible []Controller
	for i, c := range all {
		if has[i] {
			visible = append(visible, c)
		}
	}
	return visible, nil
}

// ShowController returns one controller. Needs administrator of it.
// CodeNotFound if there is none by that name, or none that u may see.
func (e *Estate) ShowController(ctx context.Context, u User, name string) (Controller, error) {
	return e.controllerFor(ctx, u, name)
}

// controllerFor returns a live controller that u administers, by name or UUID.
func (e *Estate) controllerFor(ctx context.Context, u User, name string) (Controller, error) {
	notFound := Errorf(CodeNotFound, "controller %q not found", clip(name))
	find := e.Store.ControllerByName
	if names.IsValidController(name) {
		find = e.Store.Controller
	}
	c, err := find(ctx, name)
	if Is(err, CodeNotFound) || err == nil && c.State == ControllerAdding {
		return Controller{}, notFound
	}
	if err != nil {
		return Controller{}, err
	}
	err = e.require(ctx, u, Administrator, c.Object())
	if Is(err, CodeUnauthorized) {
		// One who may use it may know that it is there.
		if ok, err := e.Permissions.Check(ctx, u, CanAddModel, c.Object()); err != nil {
			return Controller{}, err
		} else if !ok {
			return Controller{}, notFound
		}
	}
	if err != nil {
		return Controller{}, err
	}
	return c, nil
}

// SetDeprecated marks a controller as one that gets no new models, or undoes
// that. Needs administrator of JIMM.
func (e *Estate) SetDeprecated(ctx context.Context, u User, name string, deprecated bool) (Controller, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Controller{}, err
	}
	c, err := e.controllerFor(ctx, u, name)
	if err != nil {
		return Controller{}, err
	}
	c.Deprecated = deprecated
	return c, e.Store.UpdateController(ctx, c)
}

// RemoveController takes a controller out of the estate; the controller itself
// is not touched. Needs administrator of JIMM. CodeStillAlive if it has models:
// with force these are forgotten with it, and go on running there.
func (e *Estate) RemoveController(ctx context.Context, u User, name string, force bool) (Controller, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Controller{}, err
	}
	c, err := e.controllerFor(ctx, u, name)
	if err != nil {
		return Controller{}, err
	}
	if !force {
		models, err := e.Store.ModelsOn(ctx, c.UUID)
		if err != nil {
			return Controller{}, err
		}
		if len(models) > 0 {
			return Controller{}, Errorf(CodeStillAlive,
				"cannot remove controller %q: it still has models (%d); destroy or migrate them, or use force to forget them", c.Name, len(models))
		}
	}
	if c.State == ControllerLive {
		if err := e.Store.SetControllerState(ctx, c.UUID, ControllerLive, ControllerRemoving); err != nil {
			return Controller{}, err
		}
		e.step("controller removing")
	}
	return c, e.forgetController(ctx, c)
}

// forgetController removes what belongs to a controller, row last, so that it
// can be repeated until it is done.
func (e *Estate) forgetController(ctx context.Context, c Controller) error {
	models, err := e.Store.ModelsOn(ctx, c.UUID)
	if err != nil {
		return err
	}
	for _, m := range models {
		if err := e.forgetModel(ctx, m); err != nil {
			return err
		}
	}
	e.step("controller models forgotten")
	clouds, err := e.Store.CloudsServedBy(ctx, c.UUID)
	if err != nil {
		return err
	}
	for _, cloud := range clouds {
		object := Object{KindCloud, cloud}
		if err := e.Permissions.Write(ctx, nil, []Tuple{{Subject{Object: c.Object()}, InController, object}}); err != nil {
			return err
		}
	}
	if err := e.removeTuples(ctx, c.Object()); err != nil {
		return err
	}
	e.step("controller tuples removed")
	if err := e.Secrets.Delete(ctx, ControllerSecretPath(c.UUID)); err != nil {
		return err
	}
	e.step("controller secret deleted")
	// Clouds that nobody else serves go before the row that leads to them.
	if err := e.Store.SaveClouds(ctx, c.UUID, nil, nil); err != nil {
		return err
	}
	if err := e.dropUnservedClouds(ctx); err != nil {
		return err
	}
	return e.Store.DeleteController(ctx, c.UUID)
}

// dropUnservedClouds removes the clouds that no controller serves.
func (e *Estate) dropUnservedClouds(ctx context.Context) error {
	clouds, err := e.Store.UnservedClouds(ctx)
	if err != nil {
		return err
	}
	for _, name := range clouds {
		if err := e.removeTuples(ctx, Object{KindCloud, name}); err != nil {
			return err
		}
		if err := e.Store.DeleteCloud(ctx, name); err != nil && !Is(err, CodeNotFound) {
			return err
		}
	}
	return nil
}

// removeTuples removes all tuples about an object.
func (e *Estate) removeTuples(ctx context.Context, object Object) error {
	for {
		page, _, err := e.Permissions.Read(ctx, TupleFilter{Object: object}, 100, "")
		if err != nil || len(page) == 0 {
			return err
		}
		if err := e.Permissions.Write(ctx, nil, page); err != nil {
			return err
		}
	}
}

// undoStaleController undoes what a dead process left of adding a controller.
func (e *Estate) undoStaleController(ctx context.Context, name string) error {
	c, err := e.Store.ControllerByName(ctx, name)
	if Is(err, CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.State == ControllerAdding && c.UpdatedAt.Before(e.Now().Add(-e.intentAge())) {
		return e.forgetController(ctx, c)
	}
	return nil
}

// reword puts what could not be done before an error, keeping its code.
func reword(err error, format string, args ...any) error {
	code := CodeOf(err)
	if code == "" {
		return err
	}
	text := Errorf(code, format, args...).Message
	var info map[string]any
	var coded *Error
	if errors.As(err, &coded) {
		info = coded.Info
	}
	return &Error{Code: code, Message: text + ": " + err.Error(), Info: info, Cause: err}
}

// LowestVersion returns the lowest agent version among the controllers: what
// all of them can do. Without any it is that of the Juju we are built with.
func (e *Estate) LowestVersion(ctx context.Context) (string, error) {
	list, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return "", err
	}
	lowest := semversion.Zero
	for _, c := range list {
		v, err := semversion.Parse(c.AgentVersion)
		if err == nil && (lowest == semversion.Zero || v.Compare(lowest) < 0) {
			lowest = v
		}
	}
	if lowest == semversion.Zero {
		return jujuversion.Current.String(), nil
	}
	return lowest.String(), nil
}
