output "application_name" {
  description = "JIMM, for other modules of the same model."
  value       = juju_application.jimm.name
}

output "dashboard_application_name" {
  description = "The dashboard; null without it."
  value       = var.dashboard.enabled ? juju_application.dashboard[0].name : null
}

output "requires" {
  description = "The endpoints that JIMM requires, and this module wires."
  value       = keys(local.required)
}

output "provides" {
  description = "The endpoints that JIMM provides."
  value       = ["dashboard", "grafana-dashboard", "metrics-endpoint"]
}
