package config

// elsewhere takes the variables of the JIMM that Canonical publishes, and of
// its charm, that mean nothing here, so that a deployment can change over with
// the environment it has. What each does not do is said at start.
func elsewhere(v *variables) {
	for name, why := range map[string]string{
		"JIMM_IS_LEADER":                         "the units agree among themselves on who does the background work",
		"JIMM_WATCH_CONTROLLERS":                 "the units share the controllers out among themselves",
		"JIMM_ENABLE_JWKS_ROTATOR":               "signing keys are always replaced before they expire",
		"JIMM_JWKS":                              signingKeys,
		"JIMM_JWKS_PATH":                         signingKeys,
		"JIMM_JWKS_PRIVATE_KEY":                  signingKeys,
		"JIMM_JWKS_PRIVATE_KEY_PATH":             signingKeys,
		"BAKERY_PRIVATE_KEY":                     bakery,
		"BAKERY_PUBLIC_KEY":                      bakery,
		"JIMM_DASHBOARD_LOCATION":                "where browsers land is JIMM_DASHBOARD_FINAL_REDIRECT_URL, and no client asks for another place",
		"INSECURE_SECRET_STORAGE":                "secrets in PostgreSQL are always sealed, with JIMM_SECRET_STORAGE_KEYS",
		"JIMM_LOG_SQL":                           "queries are in the metrics and traces, by the method that makes them",
		"JIMM_MACAROON_EXPIRY_DURATION":          "what is confirmed to controllers is valid for 15 minutes, as their own confirmations are",
		"JIMM_BOOTSTRAP_LOGIN_TOKEN_REFRESH_URL": "it is always https://JIMM_DNS_NAME/.well-known/jwks.json",
		"JIMM_SSH_PORT":                          noSSH,
		"JIMM_SSH_HOST_KEY":                      noSSH,
		"JIMM_SSH_MAX_CONCURRENT_CONNECTIONS":    noSSH,
	} {
		v.without(name, why)
	}
}

const (
	signingKeys = "JIMM makes its signing keys, keeps them among the secrets, and replaces them"
	bakery      = "JIMM makes this key and keeps it among the secrets"
	noSSH       = "there is no SSH jump server"
)
