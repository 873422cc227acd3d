# The company login: Hydra speaks OpenID Connect, Kratos knows the people, and
# the login UI has the pages. It needs the database and the ingress of the core,
# in the same model by application_name or in another by offer_url.

locals {
  apps = {
    hydra    = juju_application.hydra.name
    kratos   = juju_application.kratos.name
    login-ui = juju_application.login_ui.name
  }
}

resource "juju_application" "hydra" {
  name       = var.hydra.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.hydra.units
  config     = var.hydra.config

  charm {
    name     = "hydra"
    channel  = var.hydra.channel
    revision = var.hydra.revision
    base     = var.hydra.base
  }
}

resource "juju_application" "kratos" {
  name       = var.kratos.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.kratos.units
  config     = var.kratos.config

  charm {
    name     = "kratos"
    channel  = var.kratos.channel
    revision = var.kratos.revision
    base     = var.kratos.base
  }
}

resource "juju_application" "login_ui" {
  name       = var.login_ui.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.login_ui.units
  config     = var.login_ui.config

  charm {
    name     = "identity-platform-login-ui-operator"
    channel  = var.login_ui.channel
    revision = var.login_ui.revision
    base     = var.login_ui.base
  }
}

resource "juju_integration" "database" {
  for_each = { for name, app in local.apps : name => app if name != "login-ui" }

  model_uuid = var.model_uuid

  application {
    name     = each.value
    endpoint = "pg-database"
  }

  application {
    name      = var.postgresql.application_name
    endpoint  = var.postgresql.application_name == null ? null : "database"
    offer_url = var.postgresql.offer_url
  }
}

# All three share one host: together they are the issuer, at its root.
resource "juju_integration" "public_route" {
  for_each = local.apps

  model_uuid = var.model_uuid

  application {
    name     = each.value
    endpoint = "public-route"
  }

  application {
    name      = var.traefik.application_name
    endpoint  = var.traefik.application_name == null ? null : "traefik-route"
    offer_url = var.traefik.offer_url
  }
}

resource "juju_integration" "hydra_endpoints" {
  for_each = { for name, app in local.apps : name => app if name != "hydra" }

  model_uuid = var.model_uuid

  application {
    name     = each.value
    endpoint = "hydra-endpoint-info"
  }

  application {
    name     = juju_application.hydra.name
    endpoint = "hydra-endpoint-info"
  }
}

resource "juju_integration" "ui_endpoints" {
  for_each = { for name, app in local.apps : name => app if name != "login-ui" }

  model_uuid = var.model_uuid

  application {
    name     = each.value
    endpoint = "ui-endpoint-info"
  }

  application {
    name     = juju_application.login_ui.name
    endpoint = "ui-endpoint-info"
  }
}

resource "juju_integration" "kratos_info" {
  model_uuid = var.model_uuid

  application {
    name     = juju_application.login_ui.name
    endpoint = "kratos-info"
  }

  application {
    name     = juju_application.kratos.name
    endpoint = "kratos-info"
  }
}

resource "juju_offer" "oauth" {
  model_uuid       = var.model_uuid
  application_name = juju_application.hydra.name
  endpoints        = ["oauth"]
}
