package cli

import (
	"context"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"
)

func (j *JAAS) importModel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import-model CONTROLLER MODEL-UUID",
		Short: "Take a model that was made on a controller itself into JAAS",
		Long: `Take a model that was made on a controller itself into JAAS.

The owner becomes its only administrator in JAAS: what the controller granted
before is not taken over. Where the cloud needs a credential, the owner must have
one in JAAS, and the model gets it.`,
		Example:           "  jaas import-model blue 2cb433a6-04eb-4ec4-9567-90426d20a004 --owner alice@example.com",
		Args:              Arguments("the name of a controller in JAAS", "the UUID of a model on it"),
		ValidArgsFunction: j.complete(j.completeControllers, completeNothing),
	}
	owner := cmd.Flags().String("owner", "", "`USER` of JAAS who is to own the model (default: its own owner, if that is one)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tag, err := modelTag(args[1])
		if err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), "ImportModel", params.ImportModelRequest{Controller: args[0], ModelTag: tag, Owner: *owner})
	}
	return cmd
}

func (j *JAAS) updateMigratedModel() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "update-migrated-model CONTROLLER MODEL-UUID",
		Short:             "Tell JAAS that a model has been migrated to another of its controllers",
		Long:              "Tell JAAS that a model has been migrated to another of its controllers, with juju itself. Nothing else is changed.",
		Example:           "  jaas update-migrated-model green 2cb433a6-04eb-4ec4-9567-90426d20a004",
		Args:              Arguments("the name of the controller in JAAS that it is on now", "the UUID of the model"),
		ValidArgsFunction: j.complete(j.completeControllers, j.completeModels),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tag, err := modelTag(args[1])
		if err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), "UpdateMigratedModel", params.UpdateMigratedModelRequest{ModelTag: tag, TargetController: args[0]})
	}
	return cmd
}

func modelTag(uuid string) (string, error) {
	if !names.IsValidModel(uuid) {
		return "", UsageError("not the UUID of a model: " + uuid)
	}
	return names.NewModelTag(uuid).String(), nil
}

// callOnly makes a call that answers nothing.
func (j *JAAS) callOnly(ctx context.Context, method string, request any) error {
	conn, err := j.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.call(ctx, method, request, nil)
}
