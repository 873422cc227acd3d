package cli

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"

	jujuparams "github.com/juju/juju/rpc/params"
)

// completionTime is how long the shell waits for names from JAAS.
var completionTime = 3 * time.Second

// nameList lists what an argument may be.
type nameList func(ctx context.Context) []string

// complete completes arguments, each from a list of its own. A nil one is a
// file's name.
func (j *JAAS) complete(lists ...nameList) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(lists) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := lists[len(args)]
		if list == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		return slices.DeleteFunc(list(ctx), unseemly), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes the value of a flag, whatever the arguments are.
func (j *JAAS) completeFlag(cmd *cobra.Command, name string, list nameList) {
	// The error would be that there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return j.complete(list)(cmd, nil, typed)
	})
}

// tagKind is what an object or a target of a permission may be.
type tagKind struct {
	before, after string
	names         nameList
}

// completePermission completes OBJECT, RELATION and TARGET.
func (j *JAAS) completePermission(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return j.completeObject(cmd, nil, typed)
	case 2:
		return j.completeTarget(cmd, nil, typed)
	}
	return j.complete(completeNothing, completeRelations)(cmd, args, typed)
}

func (j *JAAS) completeObject(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return j.completeTag(cmd, typed, []tagKind{
		{"user-", "", completeNothing}, {"group-", "#member", j.completeUsersets("ListGroups")},
		{"role-", "#assignee", j.completeUsersets("ListRoles")}, {"idpgroup-", "#member", completeNothing},
	})
}

func (j *JAAS) completeTarget(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return j.completeTag(cmd, typed, []tagKind{
		{"controller-", "", j.completeControllers}, {"cloud-", "", j.completeClouds}, {"model-", "", j.completeModels},
		{"applicationoffer-", "", completeNothing}, {"group-", "", j.completeUsersets("ListGroups")}, {"role-", "", j.completeUsersets("ListRoles")},
	})
}

// completeTag completes the kinds that there are, then the names of a kind.
func (j *JAAS) completeTag(cmd *cobra.Command, typed string, kinds []tagKind) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []string
	for _, k := range kinds {
		if !strings.HasPrefix(typed, k.before) {
			found = append(found, k.before)
			continue
		}
		return j.complete(func(ctx context.Context) []string {
			names := k.names(ctx)
			for i, name := range names {
				names[i] = k.before + name + k.after
			}
			return names
		})(cmd, nil, typed)
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// unseemly is a completion that a shell or a terminal would take for something else.
func unseemly(text string) bool {
	text = strings.Replace(text, "\t", " ", 1) // before its description
	return printable(text) != text
}

// ask makes a call for a completion: it never asks for a login, and says nothing.
func (j *JAAS) ask(ctx context.Context, method string, args, result any) bool {
	quiet := *j
	quiet.Stderr, quiet.noLogin = io.Discard, true
	conn, err := quiet.connect(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	return conn.call(ctx, method, args, result) == nil
}

// completeControllers lists the controllers of JAAS.
func (j *JAAS) completeControllers(ctx context.Context) []string {
	var list params.ListControllersResponse
	j.ask(ctx, "ListControllers", nil, &list)
	var found []string
	for _, c := range list.Controllers {
		found = append(found, c.Name)
	}
	return found
}

// completeSessions lists the caller's own sessions.
func (j *JAAS) completeSessions(ctx context.Context) []string {
	var list jimmapi.ListSessionsResponse
	j.ask(ctx, "ListSessions", nil, &list)
	var found []string
	for _, s := range list.Sessions {
		found = append(found, shortID(s.ID))
	}
	return found
}

// completeClouds lists the clouds of JAAS.
func (j *JAAS) completeClouds(ctx context.Context) []string {
	quiet := *j
	quiet.Stderr, quiet.noLogin = io.Discard, true
	conn, err := quiet.connect(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	var clouds jujuparams.CloudsResult
	if conn.APICall(ctx, "Cloud", cloudVersion, "", "Clouds", nil, &clouds) != nil {
		return nil
	}
	var found []string
	for tag := range clouds.Clouds {
		if cloud, err := names.ParseCloudTag(tag); err == nil {
			found = append(found, cloud.Id())
		}
	}
	return found
}

// completeClientClouds lists the clouds that the juju client knows.
func (j *JAAS) completeClientClouds(context.Context) []string {
	known, err := clientClouds()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(known))
}

// storeNames lists the controllers in the juju client store.
func (j *JAAS) storeNames(context.Context) []string {
	all, err := j.Store.AllControllers()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(all))
}

func (j *JAAS) completeStore(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return j.storeNames(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
}

// completeModels lists the UUIDs of the models of JAAS.
func (j *JAAS) completeModels(ctx context.Context) []string {
	var list params.ListModelsResponse
	j.ask(ctx, "ListModels", nil, &list)
	var found []string
	for _, m := range list.Models {
		found = append(found, cobra.CompletionWithDesc(m.ModelUUID, m.ModelName))
	}
	return found
}

// completeNothing is for an argument that is new, or not known to JAAS.
func completeNothing(context.Context) []string { return nil }

// completeRelations lists what a permission may be.
func completeRelations(context.Context) []string {
	return []string{
		"administrator", "audit_log_viewer", "can_addmodel", "writer", "reader", "consumer", "member", "assignee",
	}
}

// completeProfiles lists the controller profiles.
func (j *JAAS) completeProfiles(ctx context.Context) []string {
	var list params.ListControllerProfilesResponse
	j.ask(ctx, "ListControllerProfiles", nil, &list)
	var found []string
	for _, p := range list.Profiles {
		found = append(found, p.Name)
	}
	return found
}
