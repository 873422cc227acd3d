package estate_test

import (
	"testing"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

func kubernetes(host string) params.AddCloudArgs {
	return params.AddCloudArgs{Name: "k8s", Cloud: params.Cloud{
		Type: "kubernetes", HostCloudRegion: host, AuthTypes: []string{"userpass"}, Endpoint: "https://k8s.example.com:6443",
	}}
}

func TestAddCloudTakesOnlyKubernetesOnACloudOfTheEstate(t *testing.T) {
	w := twoGenerations(t)
	for name, test := range map[string]struct {
		change func(*params.AddCloudArgs)
		code   string
	}{
		"another type":               {func(a *params.AddCloudArgs) { a.Cloud.Type = "openstack" }, estate.CodeIncompatibleClouds},
		"no host":                    {func(a *params.AddCloudArgs) { a.Cloud.HostCloudRegion = "" }, estate.CodeBadRequest},
		"a host that is not there":   {func(a *params.AddCloudArgs) { a.Cloud.HostCloudRegion = "moon/r1" }, estate.CodeUnauthorized},
		"a region that is not there": {func(a *params.AddCloudArgs) { a.Cloud.HostCloudRegion = "lab/r9" }, estate.CodeNotFound},
		"a public cloud's name":      {func(a *params.AddCloudArgs) { a.Name = "aws" }, estate.CodeAlreadyExists},
		"a name that is taken":       {func(a *params.AddCloudArgs) { a.Name = "lab" }, estate.CodeAlreadyExists},
		"a name with a control code": {func(a *params.AddCloudArgs) { a.Name = "a\x00" }, estate.CodeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			args := kubernetes("lab/r1")
			test.change(&args)
			wantCode(t, w.AddCloud(w.ctx, alice, args), test.code)
		})
	}
	must(t, w.AddCloud(w.ctx, alice, kubernetes("lab/r1")))
	if _, err := w.Cloud(w.ctx, alice, "k8s"); err != nil {
		t.Error(err)
	}
	_, err := w.Cloud(w.ctx, bob, "k8s")
	wantCode(t, err, estate.CodeNotFound)
	must(t, w.ModifyCloudAccess(w.ctx, alice, "k8s", estate.AccessChange{User: bob.Name, Grant: true, Access: "add-model"}))
	if _, err = w.Cloud(w.ctx, bob, "k8s"); err != nil {
		t.Error(err)
	}
	wantCode(t, w.RemoveCloud(w.ctx, bob, "k8s"), estate.CodeUnauthorized)
	must(t, w.RemoveCloud(w.ctx, alice, "k8s"))
	if left := w.tuples(estate.Object{Kind: estate.KindCloud, ID: "k8s"}); len(left) > 0 {
		t.Errorf("tuples are left: %v", left)
	}
	must(t, w.AddCloud(w.ctx, alice, kubernetes("lab/r1")))
}

func TestAddingACloudThatDiesAnywhereCanBeRepeated(t *testing.T) {
	for _, step := range []string{"cloud added", "cloud tuples written"} {
		t.Run(step, func(t *testing.T) {
			w := twoGenerations(t)
			if !w.dieAt(step, func() { _ = w.AddCloud(w.ctx, alice, kubernetes("lab/r1")) }) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			must(t, w.AddCloud(w.ctx, alice, kubernetes("lab/r1")))
			if _, err := w.Cloud(w.ctx, alice, "k8s"); err != nil {
				t.Error(err)
			}
		})
	}
}
