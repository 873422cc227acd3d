package cli

import (
	"errors"
	"fmt"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/spf13/cobra"
)

// tagGrammar is what the help of the permission commands says about arguments.
const tagGrammar = `OBJECT is who: user-alice@example.com, user-CLIENT-ID@serviceaccount,
user-everyone@external, group-NAME#member, role-NAME#assignee or
idpgroup-NAME#member.

TARGET is what: controller-NAME (controller-jimm is JAAS itself), cloud-NAME,
model-OWNER/NAME, applicationoffer-OWNER/MODEL.OFFER, group-NAME or role-NAME; a
UUID may stand for a name.

RELATION is, by target:

  controller        administrator, audit_log_viewer, can_addmodel
  cloud             administrator, can_addmodel
  model             administrator, writer, reader
  applicationoffer  administrator, consumer, reader
  group             member
  role              assignee

With -f many come from a file, a JSON or YAML list of entries with the keys object,
relation and target_object.`

func (j *JAAS) addPermission() *cobra.Command {
	return j.changePermission(&cobra.Command{
		Use:   "add-permission OBJECT RELATION TARGET",
		Short: "Let somebody do something",
		Long:  "Let somebody do something. What is there already is no error.\n\n" + tagGrammar,
		Example: `  jaas add-permission user-alice@example.com administrator controller-jimm
  jaas add-permission group-dev#member writer model-alice@example.com/staging
  jaas add-permission user-everyone@external can_addmodel cloud-aws
  jaas add-permission -f permissions.json`,
	}, "AddRelation")
}

func (j *JAAS) removePermission() *cobra.Command {
	return j.changePermission(&cobra.Command{
		Use:   "remove-permission OBJECT RELATION TARGET",
		Short: "Take back what add-permission gave",
		Long:  "Take back what add-permission gave. What is not there is no error.\n\n" + tagGrammar,
		Example: `  jaas remove-permission user-alice@example.com administrator controller-jimm
  jaas remove-permission -f permissions.json`,
	}, "RemoveRelation")
}

// changePermission makes cmd send its tuples to a method.
func (j *JAAS) changePermission(cmd *cobra.Command, method string) *cobra.Command {
	cmd.ValidArgsFunction = j.completePermission
	file := cmd.Flags().StringP("file", "f", "", "read many from this `FILE`; - is standard input")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *file != "" {
			return Arguments()(cmd, args)
		}
		return Arguments("OBJECT", "RELATION", "TARGET")(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var tuples []params.RelationshipTuple
		if *file == "" {
			tuples = []params.RelationshipTuple{{Object: args[0], Relation: args[1], TargetObject: args[2]}}
		} else if err := readTuples(*file, j, &tuples); err != nil {
			return err
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		// AddRelationRequest and RemoveRelationRequest are the same on the wire.
		return conn.call(cmd.Context(), method, params.AddRelationRequest{Tuples: tuples}, nil)
	}
	return cmd
}

// readTuples reads a file of permissions, and wants each to be complete.
func readTuples(file string, j *JAAS, tuples *[]params.RelationshipTuple) error {
	if err := readInput(file, j.input(), tuples); err != nil {
		return err
	}
	if len(*tuples) == 0 {
		return errors.New("cannot read " + file + ": it has no permissions")
	}
	for i, t := range *tuples {
		if t.Object == "" || t.Relation == "" || t.TargetObject == "" {
			return fmt.Errorf("cannot read %s: entry %d lacks object, relation or target_object", file, i+1)
		}
	}
	return nil
}
