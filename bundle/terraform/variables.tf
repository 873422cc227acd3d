variable "model_uuid" {
  description = "UUID of the model to deploy to: juju show-model jimm --format json prints it."
  type        = string
}

variable "external_hostname" {
  description = "The host name that people reach JIMM and its login by."
  type        = string
}

variable "controller_admins" {
  description = "Who administers JIMM: e-mail addresses, or <client id>@serviceaccount."
  type        = list(string)
  default     = []
}

variable "trusted_proxies" {
  description = "The network of the cluster's pods, with the ingress among them; 10.1.0.0/16 is Canonical Kubernetes'."
  type        = string
  default     = "10.1.0.0/16"
}

variable "units" {
  description = "Number of JIMM's units."
  type        = number
  default     = 1
}

variable "vault" {
  description = "Whether secrets are kept in Vault, rather than encrypted in the database."
  type        = bool
  default     = true
}

variable "jimm_charm" {
  description = "Where the charm was published."
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

variable "cos" {
  description = "Offers of an observability stack; null: none."
  type = object({
    metrics_endpoint_offer_url           = optional(string)
    logging_consumer_offer_url           = optional(string)
    grafana_dashboard_consumer_offer_url = optional(string)
  })
  default = null
}
