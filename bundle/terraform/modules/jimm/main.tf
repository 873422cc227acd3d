# JIMM, and what it is wired to: each by application_name in the same model, or
# by the URL of an offer of another.

locals {
  # What JIMM requires, by endpoint, with the endpoint on the other side.
  required = {
    database        = { with = var.postgresql, endpoint = "database" }
    openfga         = { with = var.openfga, endpoint = "openfga" }
    vault           = { with = var.vault, endpoint = "vault-kv" }
    oauth           = { with = var.oauth, endpoint = "oauth" }
    ingress         = { with = var.ingress, endpoint = "ingress" }
    receive-ca-cert = { with = var.certificates, endpoint = "send-ca-cert" }
  }
  wired = { for name, r in local.required : name => r if r.with != null }

  config = { for name, value in var.jimm_config : replace(name, "_", "-") => value if value != null }
}

resource "juju_application" "jimm" {
  name       = var.name
  model_uuid = var.model_uuid
  trust      = var.trust
  units      = var.units
  config     = merge(local.config, var.vault == null ? { postgres-secret-storage = "true" } : {})
  resources  = var.jimm_image == null ? null : { jimm-image = var.jimm_image }

  charm {
    name     = var.jimm_charm.name
    channel  = var.jimm_charm.channel
    revision = var.jimm_charm.revision
    base     = var.jimm_charm.base
  }
}

resource "juju_integration" "required" {
  for_each = local.wired

  model_uuid = var.model_uuid

  application {
    name     = juju_application.jimm.name
    endpoint = each.key
  }

  application {
    name      = each.value.with.application_name
    endpoint  = each.value.with.application_name == null ? null : each.value.endpoint
    offer_url = each.value.with.offer_url
  }
}

resource "juju_application" "dashboard" {
  count = var.dashboard.enabled ? 1 : 0

  name       = var.dashboard.app_name
  model_uuid = var.model_uuid
  units      = 1

  charm {
    name     = "juju-dashboard-k8s"
    channel  = var.dashboard.channel
    revision = var.dashboard.revision
    base     = var.dashboard.base
  }
}

resource "juju_integration" "dashboard" {
  count = var.dashboard.enabled ? 1 : 0

  model_uuid = var.model_uuid

  application {
    name     = juju_application.jimm.name
    endpoint = "dashboard"
  }

  application {
    name     = juju_application.dashboard[0].name
    endpoint = "controller"
  }
}
