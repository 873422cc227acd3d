package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/juju/juju/api/jujuclient"
	"github.com/juju/juju/core/model"
	jujuparams "github.com/juju/juju/rpc/params"
)

// newModel are the arguments and flags of add-model.
type newModel struct {
	name, place               string
	target, credential, owner string
	config                    []string
	noSwitch                  bool
}

func (j *JAAS) addModel() *cobra.Command {
	var m newModel
	cmd := &cobra.Command{
		Use:   "add-model NAME [CLOUD|REGION|CLOUD/REGION]",
		Short: "Make a model, on a controller of your choice",
		Long: `Make a model, as "juju add-model" does, on a controller of your choice: without
--target-controller JAAS chooses one that serves the region. The model becomes the
current one of the juju client.`,
		Example: `  jaas add-model staging --target-controller blue
  jaas add-model staging aws/eu-west-1 --credential work --config default-space=internal
  jaas add-model staging aws --owner bob@example.com --no-switch`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return Arguments("NAME", "CLOUD/REGION")(cmd, args)
			}
			return Arguments("the name of the new model")(cmd, args)
		},
		ValidArgsFunction: j.complete(completeNothing, j.completeClouds),
	}
	f := cmd.Flags()
	f.StringVar(&m.target, "target-controller", "", "make it on this `CONTROLLER` of JAAS")
	f.StringVar(&m.credential, "credential", "", "`NAME` of the owner's credential for the cloud")
	f.StringVar(&m.owner, "owner", "", "`USER` who is to own it; needs administrator of JAAS (default: you)")
	f.StringArrayVar(&m.config, "config", nil, "`KEY=VALUE`, or a YAML file of them; may be repeated")
	f.BoolVar(&m.noSwitch, "no-switch", false, "do not make it the current model")
	j.completeFlag(cmd, "target-controller", j.completeControllers)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m.name, m.place = args[0], strings.Join(args[1:], "")
		return j.makeModel(cmd.Context(), m)
	}
	return cmd
}

func (j *JAAS) makeModel(ctx context.Context, m newModel) error {
	config, err := modelConfig(m.config)
	if err != nil {
		return err
	}
	if m.owner != "" && !names.IsValidUser(m.owner) {
		return UsageError(fmt.Sprintf("not the name of a user: %q", m.owner))
	}
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	cloud, region, err := conn.place(ctx, m.place)
	if err != nil {
		return err
	}
	owner := m.owner
	if owner == "" {
		owner = conn.AuthTag().Id()
	}
	request := params.AddModelToControllerRequest{ControllerName: m.target}
	request.Name, request.Qualifier, request.CloudRegion, request.Config = m.name, owner, region, config
	if cloud != "" {
		request.CloudTag = names.NewCloudTag(cloud).String()
	}
	if m.credential != "" {
		id := cloud + "/" + owner + "/" + m.credential
		switch {
		case cloud == "":
			return UsageError("say which cloud the credential is for: jaas add-model NAME CLOUD --credential " + m.credential)
		case !names.IsValidCloudCredential(id):
			return UsageError(fmt.Sprintf("not the name of a credential: %q", m.credential))
		}
		request.CloudCredentialTag = names.NewCloudCredentialTag(id).String()
	}
	var made jujuparams.ModelInfo
	if err := conn.call(ctx, "AddModelToController", request, &made); err != nil {
		return err
	}
	return j.remember(conn, owner, made, m.noSwitch)
}

// remember puts a new model into the juju client store.
func (j *JAAS) remember(conn *connection, owner string, made jujuparams.ModelInfo, noSwitch bool) error {
	path := owner + "/" + made.Name
	tag, _ := names.ParseCloudTag(made.CloudTag)
	where := cloudAndRegion(tag.Id(), made.CloudRegion)
	j.hint("Made model %q in %s.", path, where)
	if owner != conn.AuthTag().Id() {
		return nil // it is not among those that the client lists
	}
	details := jujuclient.ModelDetails{ModelUUID: made.UUID, ModelType: model.ModelType(made.Type)}
	err := j.Store.UpdateModel(conn.name, path, details)
	if err == nil && !noSwitch {
		err = j.Store.SetCurrentModel(conn.name, path)
	}
	if err != nil {
		j.hint("WARNING the juju client does not know it yet, \"juju models\" tells it: %v", err)
	}
	return nil
}

// modelConfig reads what --config says: KEY=VALUE, or files.
func modelConfig(settings []string) (map[string]any, error) {
	config := map[string]any{}
	for _, s := range settings {
		key, text, ok := strings.Cut(s, "=")
		if ok {
			var value any
			if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil {
				value = text
			}
			config[key] = value
			continue
		}
		content, err := os.ReadFile(s)
		if err != nil {
			return nil, UsageError(fmt.Sprintf("--config wants KEY=VALUE, or a file: %v", err))
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(content, &values); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", s, err)
		}
		maps.Copy(config, values)
	}
	if len(config) == 0 {
		return nil, nil
	}
	return config, nil
}

// place finds out which cloud and region CLOUD, REGION or CLOUD/REGION is.
func (c *connection) place(ctx context.Context, place string) (cloud, region string, err error) {
	if place == "" {
		return "", "", nil
	}
	cloud, region, both := strings.Cut(place, "/")
	if both {
		if !names.IsValidCloud(cloud) || region == "" {
			return "", "", UsageError(fmt.Sprintf("not CLOUD/REGION: %q", place))
		}
		return cloud, region, nil
	}
	var list jujuparams.CloudsResult
	if err := c.APICall(ctx, "Cloud", cloudVersion, "", "Clouds", nil, &list); err != nil {
		return "", "", fmt.Errorf("cannot list clouds: %s", message(err))
	}
	var found, known []string
	for tag, details := range list.Clouds {
		t, err := names.ParseCloudTag(tag)
		if err != nil {
			continue
		}
		if t.Id() == place {
			return place, "", nil
		}
		known = append(known, t.Id())
		for _, r := range details.Regions {
			if r.Name == place {
				found = append(found, t.Id())
			}
		}
	}
	slices.Sort(found)
	slices.Sort(known)
	switch len(found) {
	case 1:
		return found[0], place, nil
	case 0:
		return "", "", &Exit{ExitNotFound, fmt.Errorf("there is no cloud or region %q that you may use; clouds are %s", place, strings.Join(known, ", "))}
	}
	return "", "", UsageError(fmt.Sprintf("several clouds have a region %q: write %s/%s, or another of %s", place, found[0], place, strings.Join(found, ", ")))
}

// cloudVersion is the version of the facade Cloud that the commands call.
const cloudVersion = 7
