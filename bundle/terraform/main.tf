# The whole of JIMM in one model: what bundle.yaml has, as Terraform modules. In
# production the identity platform is often a model, and a state, of its own:
# then use the modules by themselves, wired by the offer URLs that they put out.

module "core" {
  source = "./modules/core"

  model_uuid        = var.model_uuid
  external_hostname = var.external_hostname
  vault             = { enabled = var.vault }
}

module "iam" {
  source = "./modules/iam"

  model_uuid = var.model_uuid
  postgresql = module.core.postgresql
  traefik    = module.core.traefik
}

module "jimm" {
  source = "./modules/jimm"

  model_uuid = var.model_uuid
  units      = var.units
  jimm_charm = var.jimm_charm
  jimm_image = var.jimm_image
  jimm_config = {
    controller_admins = join(" ", var.controller_admins)
    trusted_proxies   = var.trusted_proxies
  }
  postgresql   = module.core.postgresql
  openfga      = module.core.openfga
  vault        = module.core.vault
  oauth        = module.iam.oauth
  ingress      = module.core.traefik
  certificates = module.core.certificates
}

module "cos_integration" {
  source = "./modules/cos-integration"
  count  = var.cos == null ? 0 : 1

  model_uuid                           = var.model_uuid
  jimm_application_name                = module.jimm.application_name
  metrics_endpoint_offer_url           = var.cos.metrics_endpoint_offer_url
  logging_consumer_offer_url           = var.cos.logging_consumer_offer_url
  grafana_dashboard_consumer_offer_url = var.cos.grafana_dashboard_consumer_offer_url
}
