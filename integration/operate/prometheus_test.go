//go:build integration

package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const observability = "../../observability"

// prometheus is a running one, with our rules, that scrapes a unit.
type prometheus struct {
	w       *world
	address string
}

// startPrometheus starts one that scrapes every second, and whose alerts fire
// as soon as their condition holds.
func (w *world) startPrometheus(units ...*unit) *prometheus {
	w.t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		w.t.Fatal("prometheus is not installed: apt-get install --no-install-recommends prometheus")
	}
	dir := w.t.TempDir()
	write := func(name string, v any) string {
		b, err := yaml.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			w.t.Fatal(err)
		}
		return file
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []map[string]any
		}
	}
	readYAML(w.t, filepath.Join(observability, "prometheus/jimm.rules.yaml"), &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			r["for"] = "0s"
		}
	}
	write("quick.rules.yaml", map[string]any{"groups": rules.Groups})
	var targets []string
	for _, u := range units {
		targets = append(targets, u.internal)
	}
	config := write("prometheus.yml", map[string]any{
		"global":         map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
		"rule_files":     []string{filepath.Join(dir, "quick.rules.yaml")},
		"scrape_configs": []any{map[string]any{"job_name": "jimm", "static_configs": []any{map[string]any{"targets": targets}}}},
	})
	p := &prometheus{w, freeAddress()}
	log := &journal{}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address, "--log.level=warn")
	cmd.Stderr, cmd.Stdout = log, log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("log of prometheus:\n%s", log.tail(20))
		}
	})
	w.eventually("prometheus scrapes", func() error {
		found, err := p.query(`up{job="jimm"} == 1`)
		if err == nil && len(found) < len(units) {
			err = fmt.Errorf("%d of %d units are up", len(found), len(units))
		}
		return err
	})
	return p
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// get asks prometheus's API.
func (p *prometheus) get(path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var reply struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return fmt.Errorf("%w in %.200s", err, body)
	}
	if reply.Status != "success" {
		return errors.New(reply.Error)
	}
	return json.Unmarshal(reply.Data, into)
}

// series is one of the result of a query.
type series struct {
	Metric map[string]string
}

func (p *prometheus) query(expr string) ([]series, error) {
	var data struct{ Result []series }
	err := p.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// firing waits until an alert fires.
func (p *prometheus) firing(alert string, labels map[string]string) {
	p.w.t.Helper()
	p.w.eventually(alert+" fires", func() error {
		var data struct {
			Alerts []struct {
				State               string
				Labels, Annotations map[string]string
			}
		}
		if err := p.get("/api/v1/alerts", nil, &data); err != nil {
			return err
		}
		var firing []string
		for _, a := range data.Alerts {
			firing = append(firing, a.Labels["alertname"])
			if a.State != "firing" || a.Labels["alertname"] != alert {
				continue
			}
			matches := true
			for name, value := range labels {
				matches = matches && a.Labels[name] == value
			}
			if matches {
				if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || strings.Contains(a.Annotations["summary"], "<no value>") {
					p.w.t.Errorf("%s says %q", alert, a.Annotations)
				}
				return nil
			}
		}
		return fmt.Errorf("firing are %v", firing)
	})
}

// expressions are all that dashboards and rules ask of Prometheus, and of Loki, by
// where they stand.
func expressions(t *testing.T) (all, logs map[string]string) {
	t.Helper()
	all, logs = map[string]string{}, map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	readYAML(t, filepath.Join(observability, "prometheus/jimm.rules.yaml"), &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	files, err := filepath.Glob(filepath.Join(observability, "grafana/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			UID, Title string
			Templating struct {
				List []struct{ Name, Type, Definition string }
			}
			Panels []struct {
				Type, Title, Description string
				Targets                  []struct {
					Expr       string
					Datasource struct{ UID string }
				}
			}
		}
		decode(t, string(b), &dashboard)
		for _, v := range dashboard.Templating.List {
			if v.Type == "query" {
				metric, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ",")
				all[dashboard.Title+" variable "+v.Name] = metric
			}
		}
		for _, panel := range dashboard.Panels {
			if panel.Type != "row" && (panel.Description == "" || len(panel.Targets) == 0) {
				t.Errorf("panel %q of %s has no description or asks for nothing", panel.Title, dashboard.Title)
			}
			for i, target := range panel.Targets {
				of := all
				switch target.Datasource.UID {
				case "${prometheusds}":
				case "${lokids}":
					of = logs
				default:
					t.Errorf("panel %q asks %q", panel.Title, target.Datasource.UID)
				}
				of[fmt.Sprintf("%s: %s %d", dashboard.Title, panel.Title, i)] = strings.NewReplacer(
					"$__rate_interval", "1m", "$instance", ".*", "$controller", ".*").Replace(target.Expr)
			}
		}
	}
	return all, logs
}

var (
	logParts = regexp.MustCompile(`\| json ((?:\w+="\w+"(?:, )?)+)`)
	logPart  = regexp.MustCompile(`(\w+)="(\w+)"`)
	logLabel = regexp.MustCompile(`\| (\w+)(?:=~|!=)|by \((\w+)\)`)
)

// checkLogQueries looks whether a log has all the keys that queries of Loki take from
// its lines, and whether they use only what they take.
func checkLogQueries(t *testing.T, queries map[string]string, log string) {
	t.Helper()
	if len(queries) < 5 {
		t.Fatalf("only %d queries of the log found", len(queries))
	}
	keys := map[string]bool{}
	for line := range strings.Lines(log) {
		var about map[string]any
		decode(t, line, &about)
		for key := range about {
			keys[key] = true
		}
	}
	for where, query := range queries {
		taken := map[string]bool{}
		stage := logParts.FindStringSubmatch(query)
		if stage == nil || strings.Count(query, "(") != strings.Count(query, ")") || !strings.Contains(query, "{$stream} | json") {
			t.Errorf("%s takes nothing from the lines of JIMM: %s", where, query)
			continue
		}
		for _, part := range logPart.FindAllStringSubmatch(stage[1], -1) {
			taken[part[1]] = true
			if !keys[part[2]] {
				t.Errorf("%s wants %q, which no line of the log has", where, part[2])
			}
		}
		for _, used := range logLabel.FindAllStringSubmatch(query, -1) {
			if label := used[1] + used[2]; !taken[label] {
				t.Errorf("%s uses %q without taking it from the line: %s", where, label, query)
			}
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:jimm|process|go)_[a-z_]+\b|\bup\b`)

func TestPrometheusReadsWhatWeShip(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", filepath.Join(observability, "prometheus/jimm.rules.yaml")).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	w := newWorld(t)
	u := w.start("a", nil)
	w.front.use(u)
	w.addControllers(2)
	w.letAddModels(user)
	c := w.logIn(user, userSecret)
	made, err := c.createModel("watched", user+"@serviceaccount")
	if err != nil {
		t.Fatal(err)
	}
	through, err := w.tryLogIn("/model/"+made.UUID+"/api", user, userSecret)
	if err != nil {
		t.Fatal(err)
	}
	defer through.Close()
	if err := c.Call(t.Context(), "ModelManager", 11, "", "NoSuchMethod", nil, nil); err == nil {
		t.Fatal("NoSuchMethod is answered")
	}
	p := w.startPrometheus(u)

	t.Run("every metric that is asked for is there", func(t *testing.T) {
		asked, _ := expressions(t)
		if len(asked) < 40 {
			t.Fatalf("only %d expressions found", len(asked))
		}
		var names []string
		for where, expr := range asked {
			if _, err := p.query(expr); err != nil {
				t.Errorf("%s: %v in %s", where, err, expr)
			}
			found := metricName.FindAllString(expr, -1)
			if len(found) == 0 {
				t.Errorf("%s asks for no metric: %s", where, expr)
			}
			names = append(names, found...)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			// Pings come with time.
			w.eventually(name+" is scraped", func() error {
				found, err := p.query(name)
				if err == nil && len(found) == 0 {
					err = errors.New("it is not")
				}
				return err
			})
		}
	})
	t.Run("the linter of prometheus has nothing to say", func(t *testing.T) {
		_, metrics, err := u.get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		lint.Stdin = strings.NewReader(metrics)
		out, err := lint.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// Upstream's names are kept, also where they are not as they should be.
			if strings.HasPrefix(line, "jimm_") && !strings.Contains(line, "jimm_system_") {
				t.Error(line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Error(err)
		}
	})
	t.Run("nothing fires while all is well", func(t *testing.T) {
		// A unit that is not scraped within a second is down, for a second.
		w.eventually("nothing fires", func() error {
			var data struct {
				Alerts []struct{ Labels map[string]string }
			}
			err := p.get("/api/v1/alerts", nil, &data)
			if err == nil && len(data.Alerts) > 0 {
				err = fmt.Errorf("%v", data)
			}
			return err
		})
	})

	for range 100 { // a rate over five minutes
		if c, err := w.tryLogIn("/api", user, "wrong"); err == nil {
			_ = c.Close()
			t.Fatal("logged in with a wrong secret")
		}
	}
	p.firing("JimmHighAuthFailureRate", map[string]string{"method": "client-credentials"})
	if err := w.controllers[1].Close(); err != nil {
		t.Fatal(err)
	}
	p.firing("JimmControllerUnavailable", map[string]string{"controller": w.controllers[1].Name()})
	w.issuer.CloseClientConnections()
	w.issuer.Close()
	p.firing("JimmIssuerDown", nil)
	w.eventually("without the issuer it is ready", func() error {
		status, body, err := u.get("/debug/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	w.stopOpenFGA()
	p.firing("JimmDependencyDown", map[string]string{"dependency": "openfga"})
	if status, body, err := u.get("/debug/ready"); err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, "OpenFGA") {
		t.Errorf("without OpenFGA it is ready: %d %s %v", status, body, err)
	}
	w.startOpenFGA(w.fgaDSN)
	u.kill()
	p.firing("JimmDown", map[string]string{"instance": u.internal})
	t.Run("every key that is asked for is in the log", func(t *testing.T) {
		_, queries := expressions(t)
		checkLogQueries(t, queries, u.log.text())
	})
}
