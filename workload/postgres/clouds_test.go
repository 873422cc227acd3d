package postgres_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

func aws() estate.Cloud {
	return estate.Cloud{Name: "aws", Details: params.Cloud{
		Type: "ec2", AuthTypes: []string{"access-key"}, Endpoint: "https://ec2.example.com",
		Regions: []params.CloudRegion{{Name: "eu-west-1"}, {Name: "us-east-1", Endpoint: "https://us.example.com"}},
		Config:  map[string]any{"vpc-id": "vpc-1"},
	}}
}

func lxd() estate.Cloud {
	return estate.Cloud{Name: "lxd", Details: params.Cloud{Type: "lxd", AuthTypes: []string{"certificate"}}}
}

func serves(cloud, region, controller string, priority estate.RegionPriority) estate.RegionController {
	return estate.RegionController{Cloud: cloud, Region: region, ControllerUUID: controller, Priority: priority}
}

func TestCloudsAreWhatTheControllersSaid(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.InsertController(t.Context(), green()))
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{lxd(), aws()}, nil))
	changed := lxd()
	changed.Details.Endpoint = "https://lxd.example.com:8443"
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{changed}, nil))

	got, err := s.Cloud(t.Context(), "aws")
	check(t, err)
	equal(t, "aws", got, aws())
	for name, c := range map[string]struct {
		names []string
		want  []estate.Cloud
	}{
		"all":         {nil, []estate.Cloud{aws(), changed}},
		"one":         {[]string{"lxd", "no such"}, []estate.Cloud{changed}},
		"none wanted": {[]string{}, []estate.Cloud{}},
	} {
		got, err := s.Clouds(t.Context(), c.names)
		check(t, err)
		equal(t, name, got, c.want)
	}
	_, err = s.Cloud(t.Context(), "no such")
	wantCode(t, err, estate.CodeNotFound)
}

func TestLiveControllersServeRegionsBestFirst(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.InsertController(t.Context(), blue())) // adding
	check(t, s.InsertController(t.Context(), green()))
	check(t, s.SaveClouds(t.Context(), blue().UUID, []estate.Cloud{aws()}, []estate.RegionController{
		serves("aws", "eu-west-1", blue().UUID, estate.RegionSupported),
		serves("aws", "us-east-1", blue().UUID, estate.RegionDeployed),
	}))
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{aws(), lxd()}, []estate.RegionController{
		serves("aws", "eu-west-1", green().UUID, estate.RegionDeployed),
		serves("aws", "us-east-1", green().UUID, estate.RegionSupported),
		serves("lxd", "default", green().UUID, estate.RegionSupported),
	}))
	list := func(cloud, region string) []estate.RegionController {
		t.Helper()
		got, err := s.RegionControllers(t.Context(), cloud, region)
		check(t, err)
		return got
	}
	equal(t, "while blue is being added", list("aws", "us-east-1"), []estate.RegionController{
		serves("aws", "us-east-1", green().UUID, estate.RegionSupported),
	})
	check(t, s.SetControllerState(t.Context(), blue().UUID, estate.ControllerAdding, estate.ControllerLive))
	equal(t, "one region", list("aws", "eu-west-1"), []estate.RegionController{
		serves("aws", "eu-west-1", green().UUID, estate.RegionDeployed),
		serves("aws", "eu-west-1", blue().UUID, estate.RegionSupported),
	})
	equal(t, "any region", list("aws", "")[:2], []estate.RegionController{
		serves("aws", "eu-west-1", green().UUID, estate.RegionDeployed),
		serves("aws", "us-east-1", blue().UUID, estate.RegionDeployed),
	})
	clouds, err := s.CloudsServedBy(t.Context(), green().UUID)
	check(t, err)
	equal(t, "clouds of green", clouds, []string{"aws", "lxd"})

	// Saving again replaces what that controller serves, and only that.
	check(t, s.SaveClouds(t.Context(), green().UUID, nil, []estate.RegionController{
		serves("lxd", "default", green().UUID, estate.RegionDeployed),
	}))
	equal(t, "after green left aws", list("aws", "eu-west-1"), []estate.RegionController{
		serves("aws", "eu-west-1", blue().UUID, estate.RegionSupported),
	})
	wantCode(t, s.SaveClouds(t.Context(), "no such", nil, []estate.RegionController{{Cloud: "aws", Region: "x"}}), estate.CodeNotFound)
	wantCode(t, s.SaveClouds(t.Context(), green().UUID, nil, []estate.RegionController{{Cloud: "no such", Region: "x"}}), estate.CodeNotFound)
	equal(t, "after a failed save", list("lxd", "")[0].Priority, estate.RegionDeployed)
}

func TestControllersThatSaveTheSameCloudsAtOnceDoNotBlockEachOther(t *testing.T) {
	s, _ := newStore(t)
	const clouds, controllers = 20, 8
	var forward, backward []estate.Cloud
	for i := range clouds {
		c := lxd()
		c.Name = fmt.Sprintf("lxd-%02d", i)
		forward, backward = append(forward, c), append([]estate.Cloud{c}, backward...)
	}
	var all sync.WaitGroup
	for i := range controllers {
		c := green()
		c.UUID, c.Name = fmt.Sprintf("c-%d", i), fmt.Sprintf("controller-%d", i)
		check(t, s.InsertController(t.Context(), c))
		list := forward
		if i%2 == 1 {
			list = backward
		}
		all.Go(func() {
			for range 5 {
				if err := s.SaveClouds(t.Context(), c.UUID, list, []estate.RegionController{serves("lxd-00", "default", c.UUID, 1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestOnlyCloudsThatNobodyServesAreDeleted(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	check(t, s.SaveCredential(t.Context(), work()))
	check(t, s.InsertModel(t.Context(), production()))
	unserved := func(want ...string) {
		t.Helper()
		got, err := s.UnservedClouds(t.Context())
		check(t, err)
		equal(t, "unserved clouds", len(got), len(want))
		for i := range want {
			equal(t, "unserved cloud", got[i], want[i])
		}
	}
	unserved()
	wantCode(t, s.DeleteCloud(t.Context(), "aws"), estate.CodeNotFound)
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{lxd()}, nil))
	// The model in aws still is where it is.
	unserved("lxd")
	wantCode(t, s.DeleteCloud(t.Context(), "aws"), estate.CodeNotFound)
	check(t, s.DeleteModel(t.Context(), production().ID, estate.ModelCreating))
	unserved("aws", "lxd")
	check(t, s.DeleteCloud(t.Context(), "aws"))
	wantCode(t, s.DeleteCloud(t.Context(), "aws"), estate.CodeNotFound)
	_, err := s.Credential(t.Context(), "aws", alice, "work")
	wantCode(t, err, estate.CodeNotFound)
}

func work() estate.Credential {
	return estate.Credential{
		Cloud: "aws", Owner: alice, Name: "work", AuthType: "access-key",
		Attributes: []string{"access-key", "secret-key"}, Valid: true, UpdatedAt: noon,
	}
}

func TestACredentialIsSavedOverTheOldOne(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	check(t, s.SaveCredential(t.Context(), work()))
	changed := work()
	changed.Valid, changed.Attributes, changed.AuthType = false, nil, "empty"
	check(t, s.SaveCredential(t.Context(), changed))
	got, err := s.Credential(t.Context(), "aws", alice, "work")
	check(t, err)
	equal(t, "credential", got, changed)

	unknown := work()
	unknown.Cloud = "no such"
	wantCode(t, s.SaveCredential(t.Context(), unknown), estate.CodeNotFound)
	unknown = work()
	unknown.Owner = "nobody@example.com"
	wantCode(t, s.SaveCredential(t.Context(), unknown), estate.CodeUserNotFound)
}

func TestCredentialsAreListedByCloudAndName(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{aws(), lxd()}, nil))
	check(t, s.EnsureIdentity(t.Context(), "bob@example.com"))
	for _, c := range []struct{ cloud, owner, name string }{
		{"lxd", alice, "home"}, {"aws", alice, "work"}, {"aws", alice, "Play"}, {"aws", "bob@example.com", "work"},
	} {
		credential := work()
		credential.Cloud, credential.Owner, credential.Name = c.cloud, c.owner, c.name
		check(t, s.SaveCredential(t.Context(), credential))
	}
	for cloud, want := range map[string]string{
		"":        "[aws/alice@example.com/Play aws/alice@example.com/work lxd/alice@example.com/home]",
		"lxd":     "[lxd/alice@example.com/home]",
		"no such": "[]",
	} {
		got, err := s.Credentials(t.Context(), alice, cloud)
		check(t, err)
		paths := []string{}
		for _, c := range got {
			paths = append(paths, c.Path())
		}
		equal(t, "cloud "+cloud, fmt.Sprint(paths), want)
	}
	check(t, s.DeleteCredential(t.Context(), "lxd", alice, "home"))
	wantCode(t, s.DeleteCredential(t.Context(), "lxd", alice, "home"), estate.CodeNotFound)
}

func TestALoginIsRememberedAndASpokenOfUserHasNone(t *testing.T) {
	s, clock := newStore(t)
	check(t, s.EnsureIdentity(t.Context(), alice))
	clock.advance(1)
	check(t, s.EnsureIdentity(t.Context(), alice))
	got, err := s.Identity(t.Context(), alice)
	check(t, err)
	equal(t, "spoken of", got, estate.Identity{Name: alice, CreatedAt: noon})

	later := noon.AddDate(0, 0, 1)
	check(t, s.SaveLogin(t.Context(), alice, "Alice", later))
	check(t, s.SaveLogin(t.Context(), alice, "", later.AddDate(0, 0, 1)))
	check(t, s.SaveLogin(t.Context(), alice, "", later)) // told late by another unit
	got, err = s.Identity(t.Context(), alice)
	check(t, err)
	equal(t, "after logins", got, estate.Identity{Name: alice, DisplayName: "Alice", CreatedAt: noon, LastLogin: later.AddDate(0, 0, 1)})

	_, err = s.Identity(t.Context(), "nobody@example.com")
	wantCode(t, err, estate.CodeUserNotFound)
}
