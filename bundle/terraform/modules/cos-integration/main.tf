# Metrics, logs, traces and dashboards of JIMM, by a collector, to a Canonical
# Observability Stack in another model.

resource "juju_application" "collector" {
  name       = var.collector.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = 1
  config     = var.collector.config

  charm {
    name     = "opentelemetry-collector-k8s"
    channel  = var.collector.channel
    revision = var.collector.revision
    base     = var.collector.base
  }
}

locals {
  # Endpoints of JIMM, with those of the collector.
  collected = {
    metrics-endpoint  = "metrics-endpoint"
    grafana-dashboard = "grafana-dashboards-consumer"
    logging           = "receive-loki-logs"
    tracing           = "receive-traces"
  }
  # Endpoints of the collector, with the offers of the observability stack.
  sent = { for endpoint, url in {
    send-remote-write           = var.metrics_endpoint_offer_url
    send-loki-logs              = var.logging_consumer_offer_url
    grafana-dashboards-provider = var.grafana_dashboard_consumer_offer_url
  } : endpoint => url if url != null }
}

resource "juju_integration" "collected" {
  for_each = local.collected

  model_uuid = var.model_uuid

  application {
    name     = var.jimm_application_name
    endpoint = each.key
  }

  application {
    name     = juju_application.collector.name
    endpoint = each.value
  }
}

resource "juju_integration" "sent" {
  for_each = local.sent

  model_uuid = var.model_uuid

  application {
    name     = juju_application.collector.name
    endpoint = each.key
  }

  application {
    offer_url = each.value
  }
}
