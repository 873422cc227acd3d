package cli

import (
	"fmt"
	"time"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/spf13/cobra"
)

// profileForm is what the help says of a profile's file.
const profileForm = `The file is YAML:

  description: small controllers for tests
  juju-version: "4.1"          # or 4, or 4.1.2
  cloud:
    name: aws
    type: ec2
    region:
      name: eu-west-1
  bootstrap-options:
    bootstrap-base: ubuntu@24.04
    bootstrap-constraints: {mem: 4G}
    model-default: {}
    controller-config: {}
    controller-model-config: {}

It must not hold secrets: every administrator of JAAS can read it.`

func (j *JAAS) addControllerProfile() *cobra.Command {
	return j.saveControllerProfile(&cobra.Command{
		Use:               "add-controller-profile NAME",
		Short:             "Save options to bootstrap controllers with",
		Long:              "Save options to bootstrap controllers with, under a name.\n\n" + profileForm,
		Example:           "  jaas add-controller-profile small --file small.yaml",
		Args:              Arguments("a name for the profile"),
		ValidArgsFunction: j.complete(completeNothing),
	}, func(p *params.ControllerProfile) error {
		p.Version = 0
		return nil
	})
}

func (j *JAAS) updateControllerProfile() *cobra.Command {
	return j.saveControllerProfile(&cobra.Command{
		Use:   "update-controller-profile NAME",
		Short: "Change saved options to bootstrap controllers with",
		Long: `Change saved options to bootstrap controllers with. The file is what
jaas show-controller-profile printed, changed; its version tells JAAS that nobody
else has changed the profile since.

` + profileForm,
		Example: `  jaas show-controller-profile small >small.yaml
  jaas update-controller-profile small --file small.yaml`,
		Args:              Arguments("the name of a profile"),
		ValidArgsFunction: j.complete(j.completeProfiles),
	}, func(p *params.ControllerProfile) error {
		if p.Version == 0 {
			return UsageError("the file has no version: start with what \"jaas show-controller-profile " + p.Name + "\" prints")
		}
		return nil
	})
}

// saveControllerProfile makes cmd save a profile from a file.
func (j *JAAS) saveControllerProfile(cmd *cobra.Command, check func(*params.ControllerProfile) error) *cobra.Command {
	out := j.NewOutput(cmd, "yaml", "json")
	file := cmd.Flags().String("file", "", "read the profile from this YAML `FILE`; - is standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return UsageError("say where the profile is: --file FILE")
		}
		var p params.ControllerProfile
		if err := readInput(*file, j.input(), &p); err != nil {
			return err
		}
		if p.Name != "" && p.Name != args[0] {
			return UsageError(fmt.Sprintf("the profile in %s is called %q, not %q", *file, p.Name, args[0]))
		}
		p.Name = args[0]
		if err := check(&p); err != nil {
			return err
		}
		var saved params.ControllerProfile
		if err := j.get(cmd.Context(), "SaveControllerProfile", params.SaveControllerProfileRequest{ControllerProfile: p}, &saved); err != nil {
			return err
		}
		return out.Print(saved, nil)
	}
	return cmd
}

func (j *JAAS) showControllerProfile() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show-controller-profile NAME",
		Short:             "Show saved options to bootstrap controllers with",
		Example:           "  jaas show-controller-profile small",
		Args:              Arguments("the name of a profile"),
		ValidArgsFunction: j.complete(j.completeProfiles),
	}
	out := j.NewOutput(cmd, "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var p params.ControllerProfile
		if err := j.get(cmd.Context(), "GetControllerProfile", params.GetControllerProfileRequest{Name: args[0]}, &p); err != nil {
			return err
		}
		return out.Print(p, nil)
	}
	return cmd
}

func (j *JAAS) listControllerProfiles() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "list-controller-profiles",
		Aliases:           []string{"controller-profiles"},
		Short:             "List saved options to bootstrap controllers with",
		Example:           "  jaas list-controller-profiles\n  jaas list-controller-profiles --juju-version 4.1.2",
		Args:              Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	version := cmd.Flags().String("juju-version", "", "only those for this `VERSION` of Juju")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var list params.ListControllerProfilesResponse
		if err := j.get(cmd.Context(), "ListControllerProfiles", params.ListControllerProfilesRequest{JujuVersion: *version}, &list); err != nil {
			return err
		}
		if len(list.Profiles) == 0 && out.Tabular() {
			j.hint("No profiles. \"jaas add-controller-profile NAME --file FILE\" saves one.")
			return nil
		}
		return out.Print(orEmpty(list.Profiles), func(t *Table) {
			t.Row("Profile name", "Description", "Created at", "Updated at")
			for _, p := range list.Profiles {
				t.Row(p.Name, p.Description, localTime(p.CreatedAt), localTime(p.UpdatedAt))
			}
		})
	}
	return cmd
}

// localTime shows a time of RFC 3339 to people.
func localTime(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return at.Local().Format("2006-01-02 15:04:05")
}

func (j *JAAS) removeControllerProfile() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "remove-controller-profile NAME",
		Short:             "Remove saved options to bootstrap controllers with",
		Long:              "Remove saved options to bootstrap controllers with. Controllers that were made with them stay.",
		Example:           "  jaas remove-controller-profile small\n  jaas remove-controller-profile small --force",
		Args:              Arguments("the name of a profile"),
		ValidArgsFunction: j.complete(j.completeProfiles),
	}
	prompt := j.NewPrompt(cmd, "force")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := prompt.Confirm("This removes the controller profile %q.", args[0]); err != nil {
			return err
		}
		return j.callOnly(cmd.Context(), "RemoveControllerProfile", params.RemoveControllerProfileRequest{Name: args[0]})
	}
	return cmd
}
