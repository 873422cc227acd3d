package dev

import (
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"

	"jimm/workload/page"
)

var (
	//go:embed pages/dashboard.html
	dashboardHTML string
	//go:embed pages/dashboard.js
	dashboardJS string

	dashboardPages = page.Templates(dashboardHTML)
)

// dashboard is a page that uses a login by browser as the Juju dashboard does:
// from an origin of its own it asks JIMM who it is, and logs in with the cookie
// on a controller connection.
func dashboard(jimm string, log *slog.Logger) http.Handler {
	policy := page.Policy + "; script-src " + page.Hash(dashboardJS) + "; connect-src https://" + jimm + " wss://" + jimm
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		err := page.Show(w, http.StatusOK, policy, dashboardPages, "dashboard", map[string]any{
			"Title": "Models", "Error": "", "JIMM": jimm, "Script": template.JS(dashboardJS), // our own text
		})
		if err != nil {
			log.Error("cannot show the dashboard", "error", err)
		}
	})
}
