output "postgresql" {
  description = "The database, for applications of the same model."
  value       = { application_name = juju_application.postgresql.name }
}

output "openfga" {
  description = "The permission server, for applications of the same model."
  value       = { application_name = juju_application.openfga.name }
}

output "vault" {
  description = "Vault, for applications of the same model; null without it."
  value       = var.vault.enabled ? { application_name = juju_application.vault[0].name } : null
}

output "certificates" {
  description = "The certificate authority, for applications of the same model."
  value       = { application_name = juju_application.certificates.name }
}

output "traefik" {
  description = "The ingress, for applications of the same model."
  value       = { application_name = juju_application.traefik.name }
}

output "postgresql_offer_url" {
  description = "The database, for applications of other models."
  value       = juju_offer.postgresql.url
}

output "traefik_route_offer_url" {
  description = "Routes at the root of the host, for applications of other models."
  value       = juju_offer.traefik_route.url
}

output "send_ca_cert_offer_url" {
  description = "The certificate to trust, for applications of other models."
  value       = juju_offer.send_ca_cert.url
}
