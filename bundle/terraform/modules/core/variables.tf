variable "model_uuid" {
  description = "UUID of the model to deploy to."
  type        = string
}

variable "external_hostname" {
  description = "The host name that people reach JIMM and its login by."
  type        = string
}

variable "postgresql" {
  description = "The database of JIMM, OpenFGA and the identity platform."
  type = object({
    app_name           = optional(string, "postgresql")
    channel            = optional(string, "14/stable")
    revision           = optional(number)
    base               = optional(string, "ubuntu@22.04")
    units              = optional(number, 1)
    config             = optional(map(string), {})
    storage_directives = optional(map(string), { pgdata = "10G" })
  })
  default = {}
}

variable "openfga" {
  description = "The server that knows who may do what."
  type = object({
    app_name = optional(string, "openfga")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@22.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

variable "vault" {
  description = "Where cloud credentials are kept; without it they are encrypted rows of the database."
  type = object({
    app_name           = optional(string, "vault")
    channel            = optional(string, "1.18/stable")
    revision           = optional(number)
    base               = optional(string, "ubuntu@24.04")
    units              = optional(number, 1)
    config             = optional(map(string), {})
    enabled            = optional(bool, true)
    storage_directives = optional(map(string), { vault-raft = "10G", tmp = "5G" })
  })
  default = {}
}

variable "certificates" {
  description = "The certificate authority. Its number of units is always 1."
  type = object({
    app_name = optional(string, "certificates")
    channel  = optional(string, "1/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@24.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

variable "traefik" {
  description = "The ingress. Its number of units is always 1."
  type = object({
    app_name = optional(string, "traefik")
    channel  = optional(string, "latest/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@20.04")
    units    = optional(number, 1)
    config   = optional(map(string), {})
  })
  default = {}
}

