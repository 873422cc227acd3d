package cli

import (
	"time"

	"github.com/spf13/cobra"

	"jimm/workload/jimmapi"
)

func (j *JAAS) signingKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "signing-keys",
		Short: "Show which key signs tokens for controllers when",
		Long: `Show which key signs tokens for controllers when. All keys that are listed are
public: controllers take what they signed. The next one has been so for a day at
least before it signs, so that every controller knows it.`,
		Example:           "  jaas signing-keys\n  jaas signing-keys --format json",
		Args:              Arguments(),
		ValidArgsFunction: j.complete(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var schedule jimmapi.SigningKeySchedule
		if err := j.callFor(cmd.Context(), "ShowSigningKeys", nil, &schedule); err != nil {
			return err
		}
		return out.Print(schedule, func(t *Table) { tabulateKeys(t, schedule) })
	}
	return cmd
}

func (j *JAAS) rotateKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-keys",
		Short: "Sign tokens for controllers with the next key",
		Long: `Sign tokens for controllers with the next key as soon as that has been public for a
day, so that no controller refuses it; the table says when. Nobody notices, and
asking again before then changes nothing. Keys change by themselves every 30 days.

This is how to rotate keys whenever you can log in. Where that does not work, jimmctl
rotate-signing-keys does the same on a machine that has the server's settings.

With --emergency, for keys that somebody else has seen, all keys are replaced at
once. It costs this: until a controller has asked for the new keys, which it does
within an hour and a quarter, or when it is restarted, nobody can log in to it
through JAAS, and it still takes tokens that were signed with the old keys.`,
		Example:           "  jaas rotate-keys\n  jaas rotate-keys --emergency",
		Args:              Arguments(),
		ValidArgsFunction: j.complete(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	prompt := j.NewPrompt(cmd)
	emergency := cmd.Flags().Bool("emergency", false, "replace all keys at once; logins fail until each controller has asked for the new ones")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *emergency {
			if err := prompt.Confirm("this replaces all signing keys at once: logins to controllers fail for up to an hour and a quarter"); err != nil {
				return err
			}
		}
		var schedule jimmapi.SigningKeySchedule
		if err := j.callFor(cmd.Context(), "RotateSigningKeys", jimmapi.RotateSigningKeysRequest{Emergency: *emergency}, &schedule); err != nil {
			return err
		}
		return out.Print(schedule, func(t *Table) { tabulateKeys(t, schedule) })
	}
	return cmd
}

func tabulateKeys(t *Table, schedule jimmapi.SigningKeySchedule) {
	when := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return at.UTC().Format("2006-01-02 15:04 MST")
	}
	t.Row("Key", "State", "Public from", "Signs from", "Signs until", "Public until")
	for _, k := range schedule.Keys {
		var state any = k.State
		if k.State == "signs" {
			state = Good(k.State)
		}
		t.Row(k.ID, state, when(k.PublicFrom), when(&k.SignsFrom), when(k.SignsUntil), when(k.PublicUntil))
	}
}
