output "jimm_application_name" {
  description = "JIMM."
  value       = module.jimm.application_name
}

output "oauth_offer_url" {
  description = "The login, for applications of other models."
  value       = module.iam.oauth_offer_url
}

output "send_ca_cert_offer_url" {
  description = "The certificate to trust, for applications of other models."
  value       = module.core.send_ca_cert_offer_url
}
