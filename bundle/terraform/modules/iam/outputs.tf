output "oauth" {
  description = "The login, for applications of the same model."
  value       = { application_name = juju_application.hydra.name }
}

output "oauth_offer_url" {
  description = "The login, for applications of other models."
  value       = juju_offer.oauth.url
}

output "kratos_application_name" {
  description = "The server that knows the people: its actions make accounts."
  value       = juju_application.kratos.name
}
