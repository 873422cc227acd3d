variable "model_uuid" {
  description = "UUID of the model to deploy to."
  type        = string
}

variable "name" {
  description = "Name of the application."
  type        = string
  default     = "jimm"
}

variable "units" {
  description = "Number of units."
  type        = number
  default     = 3

  validation {
    condition     = var.units >= 1
    error_message = "At least one unit is needed."
  }
}

variable "trust" {
  description = "Whether the charm may talk to Kubernetes. It does not need to."
  type        = bool
  default     = false
}

variable "jimm_charm" {
  description = "The charm: where this repository's charm was published, by name, channel and revision."
  type = object({
    name     = string
    channel  = optional(string)
    revision = optional(number)
    base     = optional(string, "ubuntu@24.04")
  })
}

variable "jimm_image" {
  description = "The image to run, in place of the one that was published with the charm."
  type        = string
  default     = null
}

variable "jimm_config" {
  description = "The charm's options, with underscores for dashes. What is null keeps its default."
  type = object({
    # The charm's options, made by go test ./bundle -update.
    audit_log_retention_period_in_days = optional(string)
    client_authentication_method       = optional(string)
    controller_admins                  = optional(string)
    cors_allowed_origins               = optional(string)
    dns_name                           = optional(string)
    idp_group_fetcher_type             = optional(string)
    idp_hook_service_address           = optional(string)
    juju_dashboard_location            = optional(string)
    jwt_expiry                         = optional(string)
    log_level                          = optional(string)
    macaroon_expiry_duration           = optional(string)
    oauth_client_credential_scopes     = optional(string)
    oauth_group_claim_key              = optional(string)
    oauth_optional_scopes              = optional(string)
    oauth_trust_email                  = optional(bool)
    postgres_secret_storage            = optional(bool)
    private_key                        = optional(string)
    public_key                         = optional(string)
    secure_session_cookies             = optional(bool)
    session_cookie_max_age             = optional(number)
    session_expiry_duration            = optional(string)
    ssh_host_key_secret_id             = optional(string)
    ssh_max_concurrent_connections     = optional(number)
    ssh_port                           = optional(number)
    trusted_proxies                    = optional(string)
    uuid                               = optional(string)
  })
  default = {}
}

variable "postgresql" {
  description = "The database."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.postgresql.application_name == null) != (var.postgresql.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "openfga" {
  description = "The permission server."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.openfga.application_name == null) != (var.openfga.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "oauth" {
  description = "The login: Hydra, or an integrator of another provider."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.oauth.application_name == null) != (var.oauth.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "ingress" {
  description = "The ingress."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.ingress.application_name == null) != (var.ingress.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "vault" {
  description = "Vault. Without it secrets are encrypted rows of the database."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })
  default = null

  validation {
    condition     = var.vault == null ? true : (var.vault.application_name == null) != (var.vault.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "certificates" {
  description = "The authority whose certificates JIMM trusts when it talks to the others."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })
  default = null

  validation {
    condition     = var.certificates == null ? true : (var.certificates.application_name == null) != (var.certificates.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "dashboard" {
  description = "The Juju dashboard."
  type = object({
    enabled  = optional(bool, true)
    app_name = optional(string, "dashboard")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@22.04")
  })
  default = {}
}
