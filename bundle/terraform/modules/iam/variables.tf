variable "model_uuid" {
  description = "UUID of the model to deploy to."
  type        = string
}

variable "postgresql" {
  description = "The postgresql of the core: by name in the same model, or by the URL of an offer."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.postgresql.application_name == null) != (var.postgresql.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "traefik" {
  description = "The traefik of the core: by name in the same model, or by the URL of an offer."
  type = object({
    application_name = optional(string)
    offer_url        = optional(string)
  })

  validation {
    condition     = (var.traefik.application_name == null) != (var.traefik.offer_url == null)
    error_message = "Set application_name or offer_url, not both."
  }
}

variable "hydra" {
  description = "The OpenID Connect provider."
  type = object({
    app_name = optional(string, "hydra")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@22.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

variable "kratos" {
  description = "The server that knows the people."
  type = object({
    app_name = optional(string, "kratos")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@22.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

variable "login_ui" {
  description = "The login pages."
  type = object({
    app_name = optional(string, "login-ui")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@22.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

