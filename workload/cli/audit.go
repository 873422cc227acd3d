package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"
	"github.com/spf13/cobra"
)

// dateForms is what the help says about times.
const dateForms = `Times are as in 2026-03-04T15:04:05Z; what is left out at the end is zero, as in
2026-03-04T15:04, 2026-03-04T15 and 2026-03-04. Without an offset they are UTC.`

// auditEvent is an event as JAAS shows it.
type auditEvent struct {
	params.AuditEvent
	ClientAddress string `json:"client-address,omitempty"`
	ModelUUID     string `json:"model-uuid,omitempty"`
}

func (j *JAAS) auditEvents() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit-events",
		Aliases: []string{"list-audit-events"},
		Short:   "List what happened in JAAS: who asked what, and how it ended",
		Long: `List what happened in JAAS: who asked what of which model, from where, and how it
ended. The newest comes first. You need audit_log_viewer on JAAS ("jaas
grant-audit-log"), or to administer it.

A request and its reply are an event each, with the same conversation and message
ids. Parameters are those that cannot be secrets.

` + dateForms,
		Example: `  jaas audit-events --limit 10
  jaas audit-events --after 2026-03-04 --user-tag user-alice@example.com
  jaas audit-events --model alice@example.com/production --method Deploy --format json`,
		Args: Arguments(),
	}
	out := j.NewOutput(cmd, "yaml", "json", "tabular")
	f := cmd.Flags()
	after := f.String("after", "", "only what happened after this `TIME`")
	before := f.String("before", "", "only what happened before this `TIME`")
	user := f.String("user-tag", "", "only what this `USER` did: user-alice@example.com, or alice@example.com")
	method := f.String("method", "", "only calls of this `METHOD`, such as Deploy")
	model := f.String("model", "", "only what happened on this `MODEL`: a UUID, or OWNER/NAME")
	j.completeFlag(cmd, "model", j.completeModels)
	offset := f.Int("offset", 0, "leave out that many")
	limit := f.Int("limit", 50, "list at most that many; JAAS gives no more than 1000 at once")
	reverse := f.Bool("reverse", false, "list the oldest first")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request := params.FindAuditEventsRequest{UserTag: *user, Model: *model, Method: *method, Offset: *offset, Limit: *limit, SortTime: !*reverse}
		for _, date := range []struct {
			flag, text string
			to         *string
		}{{"--after", *after, &request.After}, {"--before", *before, &request.Before}} {
			if date.text == "" {
				continue
			}
			at, err := parseDate(date.text)
			if err != nil {
				return UsageError(fmt.Sprintf("%s: %v", date.flag, err))
			}
			*date.to = at.Format(time.RFC3339)
		}
		if *limit < 1 || *offset < 0 {
			return UsageError("--limit must be 1 or more, and --offset not negative")
		}
		if *user != "" && !strings.HasPrefix(*user, "user-") {
			request.UserTag = "user-" + *user
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		var list struct {
			Events []auditEvent `json:"events"`
		}
		if err := conn.call(cmd.Context(), "FindAuditEvents", request, &list); err != nil {
			return err
		}
		if list.Events == nil {
			list.Events = []auditEvent{}
		}
		if len(list.Events) == 0 && out.Tabular() {
			j.hint("No such events.")
			return nil
		}
		return out.Print(list, func(t *Table) { tabulateEvents(t, list.Events) })
	}
	return cmd
}

func tabulateEvents(t *Table, events []auditEvent) {
	t.Row("Time", "User", "From", "Model", "Call", "Outcome", "Parameters")
	for _, e := range events {
		user, _ := strings.CutPrefix(e.UserTag, names.UserTagKind+"-")
		call := e.FacadeName + "." + e.FacadeMethod
		var outcome any = ""
		details := ""
		switch {
		case e.Errors != nil:
			outcome = Bad(eventError(e.Errors))
		case e.IsResponse:
			outcome = Good("ok")
		case e.Params != nil:
			if text, err := json.Marshal(e.Params); err == nil {
				details = string(text)
			}
		}
		t.Row(e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), user, e.ClientAddress, e.Model, call, outcome, details)
	}
}

// eventError is the text of the error of a reply.
func eventError(errors map[string]any) string {
	results, _ := errors["results"].([]any)
	for _, result := range results {
		result, _ := result.(map[string]any)
		failure, _ := result["error"].(map[string]any)
		if text, _ := failure["message"].(string); text != "" {
			return text
		}
	}
	return "failed"
}

func (j *JAAS) purgeAuditLogs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purge-audit-logs TIME",
		Short: "Remove old events from the audit log",
		Long: `Remove what happened before a time from the audit log, for ever. You need to
administer JAAS. JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS of the server does the
same every day.

` + dateForms,
		Example: `  jaas purge-audit-logs 2026-01-01
  jaas purge-audit-logs 2026-03-04T15:00:00+01:00 --format json -y`,
		Args:              Arguments("the time to remove events before"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "yaml", "json")
	prompt := j.NewPrompt(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		date, err := parseDate(args[0])
		if err != nil {
			return UsageError(err.Error())
		}
		if err := prompt.Confirm("This removes all audit events from before %s.", date.Format(time.RFC3339)); err != nil {
			return err
		}
		conn, err := j.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer conn.Close()
		done := j.Progress("removing audit events")
		defer done()
		var purged params.PurgeLogsResponse
		if err := conn.call(cmd.Context(), "PurgeLogs", params.PurgeLogsRequest{Date: date}, &purged); err != nil {
			return err
		}
		done()
		return out.Print(purged, nil)
	}
	return cmd
}

// parseDate reads a time of ISO 8601 of which the end may be left out.
func parseDate(text string) (time.Time, error) {
	for _, form := range []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
		"2006-01-02T15Z07:00", "2006-01-02T15", "2006-01-02Z07:00", "2006-01-02", "2006-01", "2006",
	} {
		if at, err := time.Parse(form, strings.Replace(text, " ", "T", 1)); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-03-04T15:04:05Z or 2026-03-04", text)
}
