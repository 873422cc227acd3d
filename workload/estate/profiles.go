package estate

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/juju/names/v6"
)

// Profile is a saved set of options with which to bootstrap controllers.
type Profile struct {
	Name, Description string
	// JujuVersion is the release it is for, or the beginning of one: 4, 4.1.
	JujuVersion string
	// Version counts the changes; who changes a profile says which one it knows.
	Version int
	// CloudName is the name of the cloud in Cloud, and RegionName that of its region.
	CloudName, RegionName string
	// Cloud and Options are as clients gave them, JSON.
	Cloud, Options       json.RawMessage
	CreatedAt, UpdatedAt time.Time
}

// ProfileStore remembers profiles. Lookups of what is not there give an Error
// with CodeNotFound.
type ProfileStore interface {
	// InsertProfile saves a new profile, as version 1; CodeAlreadyExists if the
	// name is taken.
	InsertProfile(ctx context.Context, p Profile) (Profile, error)
	// UpdateProfile replaces a profile whose version is p's and returns it with
	// the next one; CodeNotFound if there is none of that name and version.
	UpdateProfile(ctx context.Context, p Profile) (Profile, error)
	Profile(ctx context.Context, name string) (Profile, error)
	// Profiles returns all, by name.
	Profiles(ctx context.Context) ([]Profile, error)
	DeleteProfile(ctx context.Context, name string) error
}

var (
	// jujuRelease is a release of Juju or the beginning of one.
	jujuRelease = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,6}){0,2}$`)
	// jujuVersion is what a client may say it has: also a beta of a release.
	jujuVersion = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,6}){0,3}(-[a-z]{1,10}[0-9.]{0,12})?$`)
)

// profileSize is how many bytes a profile's cloud and options may have each.
const profileSize = 256 << 10

func (p Profile) validate() error {
	fail := func(format string, args ...any) error {
		return Errorf(CodeBadRequest, "cannot save controller profile %q: "+format, append([]any{clip(p.Name)}, args...)...)
	}
	switch {
	case !controllerName.MatchString(p.Name):
		return fail("a name has up to 63 letters, digits, dots, hyphens and underscores, and starts with a letter or digit")
	case len(p.Description) > 1000:
		return fail("its description has more than 1000 bytes")
	case !jujuRelease.MatchString(p.JujuVersion):
		return fail("juju-version must be a release or the beginning of one, such as 4, 4.1 or 4.1.2, not %q", clip(p.JujuVersion))
	case p.Version < 0:
		return fail("its version is %d", p.Version)
	case !names.IsValidCloud(p.CloudName):
		return fail("%q is not the name of a cloud", clip(p.CloudName))
	case len(p.Cloud) > profileSize || len(p.Options) > profileSize:
		return fail("it has more than %d KB", profileSize>>10)
	}
	return nil
}

// SaveProfile saves a new profile, whose version is 0, or changes one, whose
// version is the one that u knows. Needs administrator of JIMM.
// CodeAlreadyExists if a new one's name is taken, CodeBadRequest if somebody
// else has changed it since.
func (e *Estate) SaveProfile(ctx context.Context, u User, p Profile) (Profile, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Profile{}, err
	}
	if err := p.validate(); err != nil {
		return Profile{}, err
	}
	if p.Version == 0 {
		saved, err := e.Store.InsertProfile(ctx, p)
		if Is(err, CodeAlreadyExists) {
			return Profile{}, Errorf(CodeAlreadyExists, "controller profile %q already exists: to change it, send the version that you know of it", p.Name)
		}
		return saved, err
	}
	saved, err := e.Store.UpdateProfile(ctx, p)
	if !Is(err, CodeNotFound) {
		return saved, err
	}
	now, err := e.Store.Profile(ctx, p.Name)
	if err != nil {
		return Profile{}, err
	}
	return Profile{}, Errorf(CodeBadRequest, "controller profile %q has been changed: it has version %d now, not %d; get it again and repeat what you want to change",
		p.Name, now.Version, p.Version)
}

// Profile returns one profile. Needs administrator of JIMM.
func (e *Estate) Profile(ctx context.Context, u User, name string) (Profile, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Profile{}, err
	}
	if !controllerName.MatchString(name) {
		return Profile{}, Errorf(CodeNotFound, "controller profile %q not found", clip(name))
	}
	return e.Store.Profile(ctx, name)
}

// Profiles returns all profiles that are for a version of Juju ("": any), by
// name. Needs administrator of JIMM.
func (e *Estate) Profiles(ctx context.Context, u User, version string) ([]Profile, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	if version != "" && !jujuVersion.MatchString(version) {
		return nil, Errorf(CodeBadRequest, "%q is not a version of Juju, such as 4.1.2", clip(version))
	}
	all, err := e.Store.Profiles(ctx)
	if err != nil {
		return nil, err
	}
	var fitting []Profile
	for _, p := range all {
		if version == "" || version == p.JujuVersion || strings.HasPrefix(version, p.JujuVersion+".") || strings.HasPrefix(version, p.JujuVersion+"-") {
			fitting = append(fitting, p)
		}
	}
	return fitting, nil
}

// RemoveProfile removes a profile; controllers made with it stay. Needs
// administrator of JIMM.
func (e *Estate) RemoveProfile(ctx context.Context, u User, name string) error {
	if _, err := e.Profile(ctx, u, name); err != nil {
		return err
	}
	return e.Store.DeleteProfile(ctx, name)
}
