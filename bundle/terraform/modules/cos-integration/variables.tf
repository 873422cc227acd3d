variable "model_uuid" {
  description = "UUID of JIMM's model."
  type        = string
}

variable "jimm_application_name" {
  description = "JIMM, in the same model."
  type        = string
  default     = "jimm"
}

variable "metrics_endpoint_offer_url" {
  description = "Offer of prometheus_remote_write that metrics go to; null: nowhere."
  type        = string
  default     = null
}

variable "logging_consumer_offer_url" {
  description = "Offer of loki_push_api that logs go to; null: nowhere."
  type        = string
  default     = null
}

variable "grafana_dashboard_consumer_offer_url" {
  description = "Offer of grafana_dashboard that dashboards go to; null: nowhere."
  type        = string
  default     = null
}

variable "collector" {
  description = "The collector."
  type = object({
    app_name = optional(string, "collector")
    channel  = optional(string, "2/stable")
    revision = optional(number)
    base     = optional(string, "ubuntu@24.04")
    config   = optional(map(string), {})
  })
  default = {}
}
