package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"jimm/workload/config"
	"jimm/workload/trust"
)

func configCommand(file *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the configuration, without a server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var format string
	show := &cobra.Command{
		Use:   "show",
		Short: "Show every setting and where it comes from",
		Long: `Show every setting and where it comes from. Secrets are masked.

Settings that are wrong are shown, too; then the exit code is 1.`,
		Example: `  jimmsrv config show
  jimmsrv config show --config /etc/jimm/jimm.yaml --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := config.Load(os.Environ(), *file)
			return errors.Join(showSettings(cmd.OutOrStdout(), format, l.Settings), err)
		},
	}
	show.Flags().StringVar(&format, "format", "tabular", "tabular, yaml or json")
	cmd.AddCommand(show, &cobra.Command{
		Use:   "check",
		Short: "Say what is missing or wrong",
		Long: `Say what is missing or wrong, a line for each problem, and which settings have
no effect. The files that settings name are read, and nothing is connected to. The
exit code is 1 if there are problems.`,
		Example: `  jimmsrv config check
  jimmsrv config check --config /etc/jimm/jimm.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := config.Load(os.Environ(), *file)
			err = errors.Join(err, checkFiles(l.Config))
			for _, s := range l.Ignored() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s has no effect: %s\n", s.Name, s.Note)
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "The configuration is good.")
			}
			return err
		},
	})
	return cmd
}

// checkFiles fails if a file that a setting names is of no use.
func checkFiles(c config.Config) error {
	var bad []error
	if c.TLSCertificate != "" && c.TLSKey != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCertificate, c.TLSKey); err != nil {
			bad = append(bad, fmt.Errorf("JIMM_TLS_CERT and JIMM_TLS_KEY cannot be used: %w", err))
		}
	}
	if _, err := trust.Open(c.CAFile); err != nil {
		bad = append(bad, fmt.Errorf("JIMM_CA_FILE cannot be used: %w", err))
	}
	return errors.Join(bad...)
}

func showSettings(out io.Writer, format string, settings []config.Setting) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(settings)
	case "yaml":
		byName := map[string]map[string]string{}
		for _, s := range settings {
			byName[s.Name] = map[string]string{"value": s.Value, "source": string(s.Source)}
			if s.Note != "" {
				byName[s.Name]["note"] = s.Note
			}
		}
		return yaml.NewEncoder(out).Encode(byName)
	case "tabular":
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "Setting\tSource\tValue")
		for _, s := range settings {
			value := s.Value
			if s.Note != "" {
				value += " (no effect: " + s.Note + ")"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.Source, value)
		}
		return table.Flush()
	}
	return fmt.Errorf("format must be tabular, yaml or json, not %q", format)
}
