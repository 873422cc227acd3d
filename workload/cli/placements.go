package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"
)

func (j *JAAS) models() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "models",
		Aliases: []string{"list-models"},
		Short:   "List models, and the controllers they are on",
		Long: `List models, and the controllers they are on: those that you may read, all for
an administrator of JAAS. "juju models" lists what is in them.

With --on, the models of one controller, for its administrators.`,
		Example:           "  jaas models\n  jaas models --on blue\n  jaas models --format json",
		Args:              Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	on := cmd.Flags().String("on", "", "only those on this `CONTROLLER` of JAAS")
	j.completeFlag(cmd, "on", j.completeControllers)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *on != "" {
			return j.modelsOn(cmd.Context(), *on, out)
		}
		var list jimmapi.ModelPlacements
		if err := j.get(cmd.Context(), "ListModels", nil, &list); err != nil {
			return err
		}
		if len(list.Models) == 0 && out.Tabular() {
			j.hint("No models. \"juju add-model NAME\" makes one.")
			return nil
		}
		return out.Print(orEmpty(list.Models), func(t *Table) {
			t.Row("Model", "Owner", "UUID", "Controller")
			for _, m := range list.Models {
				t.Row(m.ModelName, m.ModelOwner, m.ModelUUID, m.ControllerName)
			}
		})
	}
	return cmd
}

func (j *JAAS) modelsOn(ctx context.Context, controller string, out *Output) error {
	var list jimmapi.ControllerModels
	if err := j.get(ctx, "ListModelsOnController", params.ShowControllerRequest{ControllerName: controller}, &list); err != nil {
		return err
	}
	if len(list.Models) == 0 && out.Tabular() {
		j.hint("There are no models on controller %q.", controller)
		return nil
	}
	return out.Print(orEmpty(list.Models), func(t *Table) {
		t.Row("Model", "Owner", "UUID", "Cloud/Region", "State")
		for _, m := range list.Models {
			state := any(m.State)
			switch {
			case m.Gone:
				state = Bad("gone")
			case m.State != "live":
				state = Warn(m.State)
			}
			t.Row(m.ModelName, m.ModelOwner, m.ModelUUID, cloudAndRegion(m.Cloud, m.Region), state)
		}
	})
}

func cloudAndRegion(cloud, region string) string {
	if region == "" {
		return cloud
	}
	return cloud + "/" + region
}

// orEmpty makes an empty list of none, so that programs get [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// get makes a call and reads its answer.
func (j *JAAS) get(ctx context.Context, method string, args, result any) error {
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.call(ctx, method, args, result)
}

const modelArgument = "a model, as UUID or OWNER/NAME"

func (j *JAAS) showModel() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show-model MODEL",
		Short:             "Show which controller a model is on",
		Long:              "Show which controller a model is on. MODEL is its UUID, or OWNER/NAME. \"juju show-model\" shows what is in it.",
		Example:           "  jaas show-model alice@example.com/staging\n  jaas show-model 2cb433a6-04eb-4ec4-9567-90426d20a004 --format json",
		Args:              Arguments(modelArgument),
		ValidArgsFunction: j.complete(j.completeModels),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var m jimmapi.ModelPlacement
		if err := j.get(cmd.Context(), "ModelControllerInfo", params.ModelControllerInfoRequest{ModelQualifier: args[0]}, &m); err != nil {
			return err
		}
		return out.Print(m, func(t *Table) {
			t.Row("Model", "Owner", "UUID", "Controller", "Controller UUID")
			t.Row(m.ModelName, m.ModelOwner, m.ModelUUID, m.ControllerName, m.ControllerUUID)
		})
	}
	return cmd
}

// uuidOf is the UUID of a model that may be named OWNER/NAME.
func (c *connection) uuidOf(ctx context.Context, model string) (string, error) {
	if names.IsValidModel(model) {
		return model, nil
	}
	if !strings.Contains(model, "/") {
		return "", UsageError(fmt.Sprintf("not a model: %q; give its UUID or OWNER/NAME, as \"jaas models\" lists them", model))
	}
	var m jimmapi.ModelPlacement
	err := c.call(ctx, "ModelControllerInfo", params.ModelControllerInfoRequest{ModelQualifier: model}, &m)
	return m.ModelUUID, err
}

func (j *JAAS) modelStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model-status MODEL [PATTERN...]",
		Short: "Show all that a controller says of a model",
		Long: `Show all that a controller says of a model, for administrators of JAAS, whether
or not they have access to the model. MODEL is its UUID, or OWNER/NAME. Patterns
narrow it down to applications, units and machines, as with "juju status".`,
		Example: "  jaas model-status 2cb433a6-04eb-4ec4-9567-90426d20a004\n  jaas model-status alice@example.com/staging postgresql",
		Args: func(cmd *cobra.Command, args []string) error {
			return Arguments(modelArgument)(cmd, args[:min(len(args), 1)])
		},
		ValidArgsFunction: j.complete(j.completeModels),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		uuid, err := conn.uuidOf(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		var status json.RawMessage
		request := params.FullModelStatusRequest{ModelTag: names.NewModelTag(uuid).String(), Patterns: args[1:]}
		if err := conn.call(cmd.Context(), "FullModelStatus", request, &status); err != nil {
			return err
		}
		return out.Print(status, nil)
	}
	return cmd
}

func (j *JAAS) queryModels() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "query-models QUERY",
		Short: "Ask all models that you may read",
		Long: `Ask all models that you may read. QUERY is a jq program; it is run on the status of
each model, which is what "juju status --format json" prints of it, with times as
JUJU_STATUS_ISO_TIME has them. Quote it, so that the shell leaves it alone.

The result has what was found in each model, by its UUID, and an error for each
model that could not be asked, or for which the program failed; then the exit code
is 6. The answers of a model may be some seconds old.`,
		Example: `  jaas query-models '.applications | keys'
  jaas query-models 'select(.applications.postgresql) | .model.name'
  jaas query-models '.model | select(.version < "4") | {name, controller, version}' --format yaml`,
		Args:              Arguments("a jq program, such as '.model.name'"),
		ValidArgsFunction: j.complete(completeNothing),
	}
	out := j.NewOutput(cmd, "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer := struct {
			Results map[string][]json.RawMessage `json:"results"`
			Errors  map[string][]string          `json:"errors"`
		}{}
		if err := j.get(cmd.Context(), "CrossModelQuery", params.CrossModelQueryRequest{Type: "jq", Query: args[0]}, &answer); err != nil {
			return err
		}
		if err := out.Print(answer, nil); err != nil {
			return err
		}
		if n := len(answer.Errors); n > 0 {
			models := "1 model has an error"
			if n > 1 {
				models = fmt.Sprintf("%d models have errors", n)
			}
			return &Exit{ExitPartly, errors.New(models + ", in the result under \"errors\"")}
		}
		return nil
	}
	return cmd
}

func (j *JAAS) listMigrationTargets() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list-migration-targets MODEL",
		Short: "List the controllers that a model could be migrated to",
		Long: `List the controllers that a model could be migrated to: other controllers of JAAS
that answer, are not deprecated, serve the model's cloud and region, and are no older
than the model. MODEL is its UUID, or OWNER/NAME.`,
		Example:           "  jaas list-migration-targets alice@example.com/staging\n  jaas list-migration-targets 2cb433a6-04eb-4ec4-9567-90426d20a004",
		Args:              Arguments(modelArgument),
		ValidArgsFunction: j.complete(j.completeModels),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		uuid, err := conn.uuidOf(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		var list params.ListControllersResponse
		request := params.ListMigrationTargetsRequest{ModelTag: names.NewModelTag(uuid).String()}
		if err := conn.call(cmd.Context(), "ListMigrationTargets", request, &list); err != nil {
			return err
		}
		if len(list.Controllers) == 0 && out.Tabular() {
			j.hint("No other controller could take this model.")
			return nil
		}
		return out.Print(orEmpty(list.Controllers), func(t *Table) { tabulate(t, list.Controllers) })
	}
	return cmd
}
