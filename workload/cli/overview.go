package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"
)

func (j *JAAS) overview() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "overview",
		Short: "Show how the whole estate is",
		Long: `Show how the whole estate is: controllers with their models and, where they do not
answer, since when; and the numbers by cloud and by version of Juju. It is what JAAS
knows now; no controller is asked.`,
		Example:           "  jaas overview\n  jaas overview --format json",
		Args:              Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var o jimmapi.Overview
		if err := j.get(cmd.Context(), "EstateOverview", nil, &o); err != nil {
			return err
		}
		return out.Print(o, func(t *Table) { overviewTable(t, o) })
	}
	return cmd
}

func overviewTable(t *Table, o jimmapi.Overview) {
	t.Row("Controller", "Cloud/Region", "Version", "Models", "Status", "Since")
	for _, c := range o.Controllers {
		since := ""
		if c.Status.Since != nil {
			since = c.Status.Since.Local().Format(time.DateTime)
		}
		t.Row(c.Name, cloudAndRegion(c.Cloud, c.Region), c.AgentVersion, c.Models, controllerStatus(c.Status), since)
	}
	for _, part := range []struct {
		title  string
		counts []jimmapi.Count
	}{{"Cloud", o.Clouds}, {"Version", o.Versions}} {
		t.Row()
		t.Row(part.title, "Controllers", "Models")
		for _, n := range part.counts {
			t.Row(n.Name, n.Controllers, n.Models)
		}
	}
	t.Row()
	t.Row(fmt.Sprintf("%d models; %d are being destroyed, %d are not known to their controllers any more.", o.Models, o.Dying, o.Gone))
}

func (j *JAAS) jujuVersions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "juju-versions",
		Short: "List the versions of Juju that models can be upgraded to here",
		Long: `List the versions of Juju that models can be upgraded to here: those that some
controller of JAAS has, the newest first. JAAS does not look for releases elsewhere.`,
		Example:           "  jaas juju-versions\n  jaas juju-versions --above 3.6.11",
		Args:              Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	above := cmd.Flags().String("above", "", "only those above this `VERSION`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request := params.SupportedJujuVersionsRequest{}
		if *above != "" {
			request.MinVersion = above
		}
		var list params.SupportedJujuVersionsResponse
		if err := j.get(cmd.Context(), "SupportedJujuVersions", request, &list); err != nil {
			return err
		}
		if len(list.Versions) == 0 && out.Tabular() {
			return &Exit{ExitNotFound, errors.New("no controller of JAAS has such a version")}
		}
		return out.Print(orEmpty(list.Versions), func(t *Table) {
			t.Row("Version", "Release")
			for _, v := range list.Versions {
				t.Row(v.Version, v.LinkToRelease)
			}
		})
	}
	return cmd
}

func (j *JAAS) jobs() *cobra.Command {
	var request params.ListJobsRequest
	var statuses []string
	cmd := &cobra.Command{
		Use:               "jobs",
		Aliases:           []string{"list-jobs"},
		Short:             "List long work of JAAS",
		Example:           "  jaas jobs\n  jaas jobs --status failed --count 10",
		Args:              Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	f := cmd.Flags()
	f.StringSliceVar(&request.Kinds, "kind", nil, "only jobs of this `KIND`; may be repeated")
	f.StringSliceVar(&statuses, "status", nil, "only jobs of this `STATUS`: running, successful, pending, failed; may be repeated")
	f.IntVar(&request.Count, "count", 100, "list so many at most")
	f.StringVar(&request.Cursor, "cursor", "", "go on from here: what the end of the last list said")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"running", "successful", "pending", "failed"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if request.Count < 1 {
			return UsageError("--count must be 1 or more")
		}
		for _, s := range statuses {
			request.Statuses = append(request.Statuses, params.JobStatus(s))
		}
		var list params.ListJobsResponse
		if err := j.get(cmd.Context(), "ListJobs", request, &list); err != nil {
			return err
		}
		if len(list.Jobs) == 0 && out.Tabular() {
			j.hint("No jobs.")
			return nil
		}
		err := out.Print(orEmpty(list.Jobs), func(t *Table) {
			t.Row("ID", "Kind", "Status", "Attempt")
			for _, job := range list.Jobs {
				status := any(string(job.Status))
				switch job.Status {
				case params.StatusSuccessful:
					status = Good(string(job.Status))
				case params.StatusFailed:
					status = Bad(string(job.Status))
				}
				t.Row(job.ID, job.Kind, status, fmt.Sprintf("%d/%d", job.Attempt, job.MaxAttempts))
			}
		})
		if err == nil && list.NextCursor != "" {
			j.hint("There are more: --cursor %s", list.NextCursor)
		}
		return err
	}
	return cmd
}
