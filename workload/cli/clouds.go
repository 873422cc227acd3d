package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"

	"github.com/juju/juju/cloud"
	jujuparams "github.com/juju/juju/rpc/params"
)

func (j *JAAS) addCloud() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add-cloud CONTROLLER CLOUD",
		Short: "Let a controller make models in one more cloud",
		Long: `Let a controller make models in one more cloud.

CLOUD is the name of a cloud that juju on this machine knows: one of your own
("juju add-cloud --client" makes one) or a public one. With --cloud it comes from
a file instead, in the form that juju add-cloud takes.

Nobody but administrators may add models there before it is granted:
"juju grant-cloud", or jaas add-permission.`,
		Example: `  jaas add-cloud blue maas-lab
  jaas add-cloud blue maas-lab --cloud clouds.yaml
  juju grant-cloud alice@example.com add-model maas-lab`,
		Args:              Arguments("the name of a controller in JAAS", "the name of a cloud"),
		ValidArgsFunction: j.complete(j.completeControllers, j.completeClientClouds),
	}
	file := cmd.Flags().String("cloud", "", "read the cloud from this YAML `FILE`; - is standard input")
	force := cmd.Flags().Bool("force", false, "also if the controller itself runs in a cloud of another type")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		found, err := j.cloudNamed(args[1], *file)
		if err != nil {
			return fmt.Errorf("cannot add cloud %q: %w", args[1], err)
		}
		request := params.AddCloudToControllerRequest{ControllerName: args[0]}
		request.Name, request.Cloud = args[1], cloudParams(found)
		if *force {
			request.Force = force
		}
		if err := j.callOnly(cmd.Context(), "AddCloudToController", request); err != nil {
			return err
		}
		name, err := j.controllerName()
		if err != nil {
			return err
		}
		j.hint("Cloud %q is on controller %q. Next: a credential, with \"juju add-credential %s -c %s\".", args[1], args[0], args[1], name)
		return nil
	}
	return cmd
}

func (j *JAAS) removeCloud() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove-cloud CONTROLLER CLOUD",
		Short: "Take a cloud from a controller",
		Long: `Take a cloud from a controller, which may then make no models in it.

A controller refuses while it has models there. When no controller has the cloud
any more, JAAS forgets it and the credentials for it.`,
		Example:           "  jaas remove-cloud blue maas-lab\n  jaas remove-cloud blue maas-lab --no-prompt",
		Args:              Arguments("the name of a controller in JAAS", "the name of a cloud"),
		ValidArgsFunction: j.complete(j.completeControllers, j.completeClouds),
	}
	prompt := j.NewPrompt(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tag, err := cloudTag(args[1])
		if err != nil {
			return err
		}
		if err := prompt.Confirm("This takes cloud %q from controller %q; if no other controller has it, all credentials for it are deleted.", args[1], args[0]); err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), "RemoveCloudFromController", params.RemoveCloudFromControllerRequest{ControllerName: args[0], CloudTag: tag})
	}
	return cmd
}

func cloudTag(name string) (string, error) {
	if !names.IsValidCloud(name) {
		return "", UsageError(fmt.Sprintf("not the name of a cloud: %q", name))
	}
	return names.NewCloudTag(name).String(), nil
}

// cloudNamed finds a cloud in a file, or among those that the juju client knows.
func (j *JAAS) cloudNamed(name, file string) (cloud.Cloud, error) {
	known, place, err := j.knownClouds(file)
	if err != nil {
		return cloud.Cloud{}, err
	}
	found, ok := known[name]
	if !ok {
		has := "no clouds"
		if len(known) > 0 {
			has = "only " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		}
		return cloud.Cloud{}, fmt.Errorf("%s has %s; --cloud FILE says where it is described", place, has)
	}
	return found, nil
}

// knownClouds are those in a file, or without one those of the juju client, and
// what to call the place.
func (j *JAAS) knownClouds(file string) (known map[string]cloud.Cloud, place string, err error) {
	if file == "" {
		known, err = clientClouds()
		return known, "the juju client", err
	}
	text, err := readFile(file, j.input())
	if err != nil {
		return nil, "", err
	}
	if known, err = cloud.ParseCloudMetadata(text); err != nil {
		return nil, "", fmt.Errorf("cannot read %s: %w", file, err)
	}
	return known, file, nil
}

// clientClouds are the public clouds and the user's own, which go first.
func clientClouds() (map[string]cloud.Cloud, error) {
	all := map[string]cloud.Cloud{}
	public, _, err := cloud.PublicCloudMetadata(cloud.JujuPublicCloudsPath())
	if err != nil {
		return nil, fmt.Errorf("cannot read the public clouds: %w", err)
	}
	own, err := cloud.PersonalCloudMetadata()
	if err != nil {
		return nil, fmt.Errorf("cannot read your own clouds: %w", err)
	}
	maps.Copy(all, public)
	maps.Copy(all, own)
	return all, nil
}

// cloudParams is a cloud as it goes over the wire.
func cloudParams(c cloud.Cloud) jujuparams.Cloud {
	wire := jujuparams.Cloud{
		Type: c.Type, HostCloudRegion: c.HostCloudRegion, Endpoint: c.Endpoint,
		IdentityEndpoint: c.IdentityEndpoint, StorageEndpoint: c.StorageEndpoint,
		CACertificates: c.CACertificates, SkipTLSVerify: c.SkipTLSVerify, Config: c.Config,
	}
	for _, a := range c.AuthTypes {
		wire.AuthTypes = append(wire.AuthTypes, string(a))
	}
	for _, r := range c.Regions {
		wire.Regions = append(wire.Regions, jujuparams.CloudRegion{
			Name: r.Name, Endpoint: r.Endpoint, IdentityEndpoint: r.IdentityEndpoint, StorageEndpoint: r.StorageEndpoint,
		})
	}
	if len(c.RegionConfig) > 0 {
		wire.RegionConfig = map[string]map[string]any{}
		for region, attributes := range c.RegionConfig {
			wire.RegionConfig[region] = attributes
		}
	}
	return wire
}
