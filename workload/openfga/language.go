package openfga

import _ "embed"

// Language is the authorization model in OpenFGA's language, for people.
//
//go:embed model.fga
var Language string
