# What keeps JIMM's state: rows, permissions, secrets; and the authority whose
# certificates all of it is reached by.

resource "juju_application" "postgresql" {
  name       = var.postgresql.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.postgresql.units

  charm {
    name     = "postgresql-k8s"
    channel  = var.postgresql.channel
    revision = var.postgresql.revision
    base     = var.postgresql.base
  }

  config = merge({
    plugin_pg_trgm_enable   = true
    plugin_btree_gin_enable = true
    plugin_uuid_ossp_enable = true
  }, var.postgresql.config)

  storage_directives = var.postgresql.storage_directives
}

resource "juju_application" "openfga" {
  name       = var.openfga.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.openfga.units
  config     = var.openfga.config

  charm {
    name     = "openfga-k8s"
    channel  = var.openfga.channel
    revision = var.openfga.revision
    base     = var.openfga.base
  }
}

resource "juju_application" "vault" {
  count = var.vault.enabled ? 1 : 0

  name       = var.vault.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = var.vault.units
  config     = var.vault.config

  charm {
    name     = "vault-k8s"
    channel  = var.vault.channel
    revision = var.vault.revision
    base     = var.vault.base
  }

  storage_directives = var.vault.storage_directives
}

# It cannot have more than one unit.
resource "juju_application" "certificates" {
  name       = var.certificates.app_name
  model_uuid = var.model_uuid
  units      = 1
  config     = var.certificates.config

  charm {
    name     = "self-signed-certificates"
    channel  = var.certificates.channel
    revision = var.certificates.revision
    base     = var.certificates.base
  }
}

resource "juju_application" "traefik" {
  name       = var.traefik.app_name
  model_uuid = var.model_uuid
  trust      = true
  units      = 1

  charm {
    name     = "traefik-k8s"
    channel  = var.traefik.channel
    revision = var.traefik.revision
    base     = var.traefik.base
  }

  config = merge({
    external_hostname = var.external_hostname
    routing_mode      = "path"
  }, var.traefik.config)
}

resource "juju_integration" "openfga_database" {
  model_uuid = var.model_uuid

  application {
    name     = juju_application.openfga.name
    endpoint = "database"
  }

  application {
    name     = juju_application.postgresql.name
    endpoint = "database"
  }
}

resource "juju_integration" "traefik_certificates" {
  model_uuid = var.model_uuid

  application {
    name     = juju_application.traefik.name
    endpoint = "certificates"
  }

  application {
    name     = juju_application.certificates.name
    endpoint = "certificates"
  }
}

# Other models, such as one with the identity platform, need these.

resource "juju_offer" "postgresql" {
  model_uuid       = var.model_uuid
  application_name = juju_application.postgresql.name
  endpoints        = ["database"]
}

resource "juju_offer" "traefik_route" {
  model_uuid       = var.model_uuid
  application_name = juju_application.traefik.name
  endpoints        = ["traefik-route"]
}

resource "juju_offer" "send_ca_cert" {
  model_uuid       = var.model_uuid
  application_name = juju_application.certificates.name
  endpoints        = ["send-ca-cert"]
}
