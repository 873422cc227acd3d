output "collector_application_name" {
  description = "The collector, for other applications of the model."
  value       = juju_application.collector.name
}
