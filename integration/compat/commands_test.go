//go:build integration

package compat

import (
	"regexp"
	"strings"
)

// role is who runs a command through JIMM. Directly it is always the
// controller's admin.
type role int

const (
	// owner owns the models: bob.
	owner role = iota
	// administrator is JIMM's: alice.
	administrator
)

// command is a juju command line. Words in capitals stand for what differs from
// one run to another:
//
//	MODEL, OTHER    the owner's models; the client is switched to MODEL
//	NEW             a model that the command makes
//	OWNER           who owns the models
//	CAROL           somebody without any rights
//	LOCAL           a local user that the commands make
//	CONTROLLER      the name of the controller
//	CLOUD, REGION   where the models are
//	CHARM, FILE     a local charm with the file resource blob, and a file
//	TAG             part of all these names
//	KUBE, KUBEFILE  a cloud that the commands add, and its definition
//	KEY             a model default that no other client sets
//	OPERATION, TASK what the first run makes
//	CREDENTIALS     a file with the credential TAG of KUBE
//
// MODEL has the applications fix and peer, OTHER none. Each command goes on from
// what those before it have done.
type command struct {
	line string
	as   role
	// only leaves out lines that others who work meanwhile may change.
	only func(tag, output string) string
}

// commands are those of a day with Juju: what was recorded of both clients, and
// what else people need.
var commands = []command{
	{line: "whoami"},
	{line: "switch OWNER/MODEL"},
	{line: "switch"},
	{line: "models", only: rows},
	{line: "models --format yaml", only: own},
	{line: "show-model MODEL"},
	{line: "clouds --controller CONTROLLER", only: own},
	{line: "regions CLOUD --controller CONTROLLER"},
	{line: "credentials --controller CONTROLLER", only: own},
	{line: "show-cloud CLOUD --controller CONTROLLER", as: administrator, only: own},
	{line: "users", as: administrator, only: own},
	{line: "show-user", as: administrator},
	{line: "show-user"},
	{line: "controllers --refresh", as: administrator, only: withoutCounts},
	{line: "show-controller", as: administrator, only: own},
	{line: "controller-config", as: administrator},
	{line: "controller-config audit-log-max-size", as: administrator},

	{line: "model-config", only: withoutDefaults},
	{line: "model-config logging-config"},
	{line: "model-config logging-config=<root>=WARNING"},
	{line: "model-config logging-config"},
	{line: "model-config --reset logging-config"},
	{line: "model-config no-such-key"},
	{line: "model-defaults --cloud CLOUD logging-config"},
	{line: "model-defaults --cloud CLOUD KEY=http://192.0.2.1"},
	{line: "model-defaults --cloud CLOUD KEY"},
	{line: "model-defaults --cloud CLOUD --reset KEY"},
	{line: "model-defaults --cloud CLOUD --region REGION KEY=http://192.0.2.2"},
	{line: "model-defaults --cloud CLOUD --region REGION KEY"},
	{line: "model-defaults --cloud CLOUD --region REGION --reset KEY"},
	{line: "model-constraints"},
	{line: "set-model-constraints mem=2G"},
	{line: "model-constraints"},

	{line: "status", only: unprovisioned},
	{line: "status --format yaml", only: unprovisioned},
	{line: "show-application fix"},
	{line: "show-unit fix/0"},
	{line: "machines", only: unprovisioned},
	{line: "show-machine 0", only: unprovisioned},
	{line: "show-status-log fix/0"},
	{line: "deploy CHARM extra"},
	{line: "deploy CHARM resourceful --resource blob=FILE --config opt=hi"},
	{line: "deploy no-such.charm"},
	{line: "config fix"},
	{line: "config fix opt=hello"},
	{line: "config fix opt"},
	{line: "config fix --reset opt"},
	{line: "trust fix"},
	{line: "config fix no-such-option=1"},
	{line: "refresh fix --path CHARM"},
	{line: "bind fix alpha"},
	{line: "set-application-base fix ubuntu@24.04"},
	{line: "add-unit fix"},
	{line: "remove-unit fix/1 --no-prompt --force"},
	{line: "integrate fix:src peer:db"},
	{line: "integrate fix:src peer:db"},
	{line: "remove-relation fix peer"},
	{line: "expose fix"},
	{line: "unexpose fix"},
	{line: "constraints fix"},
	{line: "set-constraints fix mem=1G"},
	{line: "constraints fix"},
	{line: "resources fix"},
	{line: "attach-resource fix blob=FILE"},
	{line: "resources fix"},
	{line: "actions fix"},
	{line: "show-action fix ping"},
	{line: "run fix/0 ping --background"},
	{line: "run fix/0 no-such-action --background"},
	{line: "operations"},
	{line: "show-operation OPERATION"},
	{line: "show-task TASK"},
	{line: "cancel-task TASK"},
	{line: "add-secret mine name=value"},
	{line: "secrets"},
	{line: "show-secret mine --reveal"},
	{line: "update-secret mine name=other"},
	{line: "grant-secret mine fix"},
	{line: "revoke-secret mine fix"},
	{line: "remove-secret mine"},
	{line: "secret-backends"},
	{line: "storage"},
	{line: "storage-pools"},
	{line: "create-storage-pool mypool rootfs"},
	{line: "spaces"},
	{line: "add-space myspace"},
	{line: "subnets"},
	{line: "ssh-keys"},
	{line: "debug-log --replay --no-tail --limit 2", only: logLines},
	{line: "disabled-commands"},
	{line: "disable-command destroy-model later"},
	{line: "disabled-commands"},
	{line: "enable-command destroy-model"},
	{line: "export-bundle"},
	{line: "dump-model"},
	{line: "upgrade-model --dry-run"},
	{line: "add-machine"},
	{line: "remove-machine 1 --no-prompt --force"},
	{line: "wait-for application fix --timeout 2m"},

	{line: "offer fix:db OFFER"},
	{line: "offers", only: rows},
	{line: "find-offers CONTROLLER:OWNER/MODEL", only: rows},
	{line: "find-offers", only: rows},
	{line: "show-offer CONTROLLER:OWNER/MODEL.OFFER"},
	{line: "grant CAROL read OWNER/MODEL.OFFER"},
	{line: "grant CAROL consume OWNER/MODEL.OFFER"},
	{line: "show-offer CONTROLLER:OWNER/MODEL.OFFER"},
	{line: "revoke CAROL consume OWNER/MODEL.OFFER"},
	{line: "consume -m OWNER/OTHER OWNER/MODEL.OFFER far"},
	{line: "status -m OWNER/OTHER", only: withoutOfferStatus},
	{line: "remove-saas -m OWNER/OTHER far"},
	{line: "show-offer CONTROLLER:OWNER/MODEL.no-such-offer"},
	{line: "remove-offer CONTROLLER:OWNER/MODEL.OFFER --force -y"},
	{line: "offers", only: rows},

	{line: "grant CAROL read MODEL"},
	{line: "grant CAROL read MODEL"},
	{line: "grant CAROL admin MODEL"},
	{line: "show-model MODEL"},
	{line: "revoke CAROL admin MODEL"},
	{line: "revoke CAROL read MODEL"},
	{line: "revoke CAROL read MODEL"},
	{line: "grant CAROL login", as: administrator},
	{line: "grant CAROL superuser", as: administrator},
	{line: "revoke CAROL superuser", as: administrator},
	{line: "grant-cloud CAROL add-model CLOUD", as: administrator},
	{line: "show-cloud CLOUD --controller CONTROLLER", as: administrator, only: own},
	{line: "revoke-cloud CAROL add-model CLOUD", as: administrator},
	{line: "add-user LOCAL", as: administrator, only: withoutRegistration},
	{line: "disable-user LOCAL", as: administrator},
	{line: "enable-user LOCAL", as: administrator},
	{line: "remove-user LOCAL -y", as: administrator},

	{line: "add-cloud KUBE --controller CONTROLLER -f KUBEFILE --force", as: administrator},
	{line: "show-cloud KUBE --controller CONTROLLER", as: administrator},
	{line: "add-credential KUBE --controller CONTROLLER -f CREDENTIALS", as: administrator},
	{line: "credentials --controller CONTROLLER", as: administrator, only: own},
	{line: "show-credential KUBE TAG --controller CONTROLLER --show-secrets", as: administrator},
	{line: "update-credential KUBE TAG --controller CONTROLLER -f CREDENTIALS", as: administrator},
	{line: "remove-credential KUBE TAG --controller CONTROLLER", as: administrator},
	{line: "remove-cloud KUBE --controller CONTROLLER", as: administrator},
	{line: "add-credential CLOUD --controller CONTROLLER -f CREDENTIALS"},

	{line: "add-model NEW CLOUD/REGION"},
	{line: "add-model NEW CLOUD/REGION"},
	{line: "show-model NEW"},
	{line: "destroy-model OWNER/NEW --no-prompt", only: removal},
	{line: "show-model NEW", only: removal},
	{line: "switch OWNER/MODEL"},
	{line: "remove-application extra --no-prompt --force"},
	{line: "remove-application no-such --no-prompt --force"},
	{line: "destroy-model OWNER/OTHER --no-prompt --force --no-wait", only: removal},
}

// rows leaves the lines that have the tag in them.
func rows(tag, output string) string {
	var kept []string
	for line := range strings.Lines(output) {
		if strings.Contains(line, tag) || strings.HasPrefix(line, "ERROR") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// own leaves out what other clients have made meanwhile: keys of YAML with all
// that is under them, rows of tables, and items of lists in them.
func own(tag, output string) string {
	var kept []string
	under := -1 // the indentation of a key that is left out
	for line := range strings.Lines(output) {
		name := line // of a table's row, or a key
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "-" {
			name = fields[0]
		}
		if foreign.MatchString(name) && !strings.Contains(name, tag) {
			under = indentation(line)
			continue
		}
		if indent := indentation(line); under >= 0 && indent > under && strings.TrimSpace(line) != "" {
			continue
		}
		under = -1
		for _, item := range foreignItems {
			line = item.ReplaceAllStringFunc(line, func(found string) string {
				if strings.Contains(found, tag) {
					return found
				}
				return ""
			})
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

var (
	foreign = regexp.MustCompile(`j(?:354|36|41)on(?:36|41)`)
	// foreignItems are items of a list: before others, after others, and alone.
	foreignItems = []*regexp.Regexp{
		regexp.MustCompile(`\b` + foreign.String() + `, `), regexp.MustCompile(`, ` + foreign.String() + `\b`), regexp.MustCompile(`\b` + foreign.String() + `\b`),
	}
)

// withoutDefaults leaves out the attributes that clients set defaults of.
func withoutDefaults(_, output string) string { return changed.ReplaceAllString(output, "") }

var changed = regexp.MustCompile(`(?m)^apt-(?:http|https|ftp)-proxy .*\n`)

// withoutCounts leaves out how many models and machines there are.
func withoutCounts(_, output string) string {
	return counts.ReplaceAllString(output, "$1 COUNTS $2")
}

var counts = regexp.MustCompile(`(?m)^(front\*.*?) +(?:\d+|-) +(?:\d+|-) +((?:none|-) .*)$`)

// withoutOfferStatus leaves out the status of the offer "far", which its controller
// tells only after a while.
func withoutOfferStatus(_, output string) string { return far.ReplaceAllString(output, "far STATUS") }

var far = regexp.MustCompile(`(?m)^far +[a-z]+`)

// removal makes the same how a model that is being removed is found to be gone: 4.1
// controllers may say that its database is, and then the client still knows its name.
func removal(_, output string) string {
	return unknown.ReplaceAllString(gone.ReplaceAllString(output, "Model destroyed."), "ERROR model not found")
}

var (
	gone    = regexp.MustCompile(`Waiting for model to be removed\.\.\.[^\n]*(?:\nModel destroyed\.)?`)
	unknown = regexp.MustCompile(`ERROR model \S+ not found`)
)

// unprovisioned makes machines the same that a controller without a provider tries
// to start, and those for which it has given up.
func unprovisioned(_, output string) string {
	for _, r := range unprovisionedRules {
		output = r.pattern.ReplaceAllString(output, r.by)
	}
	return output
}

var unprovisionedRules = []rule{
	{regexp.MustCompile(`(?m)^( *\d+) +(?:pending|down) +pending +(ubuntu@24.04).*$`), "$1 unprovisioned $2"},
	{regexp.MustCompile(`(?m)^ *since: .*\n`), ""},
	{regexp.MustCompile(`(?m)^ *message: agent is not communicating with the server\n`), ""},
	{regexp.MustCompile(`(?m)^ *message:\s+(?:failed to start machine \d+ \(|)unmanaged provider cannot start\s+instances(?:\),\s+retrying\s+in\s+\d+s\s+\(\d+\s+more\s+attempts\))?\n`), ""},
	{regexp.MustCompile(`current: (?:pending|down|allocating|provisioning error)\b`), "current: unprovisioned"},
}

// logLines says of each message of a log, which may have several lines, only that it is one.
func logLines(_, output string) string {
	var kept strings.Builder
	for line := range strings.Lines(output) {
		switch {
		case logLine.MatchString(line):
			kept.WriteString("a log message\n")
		case kept.Len() == 0 || strings.HasPrefix(line, "ERROR"):
			kept.WriteString(line)
		}
	}
	return kept.String()
}

var logLine = regexp.MustCompile(`^\S+: \d\d:\d\d:\d\d [A-Z]+ `)

// withoutRegistration leaves out the secret that a new user registers with.
func withoutRegistration(_, output string) string {
	return registration.ReplaceAllString(output, "juju register SECRET")
}

var registration = regexp.MustCompile(`juju register \S+`)
