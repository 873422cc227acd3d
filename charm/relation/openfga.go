package relation

// OpenFGARequest is what the requirer of openfga writes into its application
// databag.
type OpenFGARequest struct {
	// StoreName names the store. The provider gives an existing one of that name again.
	StoreName string
}

// Bag encodes the request.
func (r OpenFGARequest) Bag() Bag { return Bag{"store_name": r.StoreName} }

// OpenFGAAnswer is what the provider writes into its application databag.
type OpenFGAAnswer struct {
	HTTPURL, GRPCURL string
	// StoreID is empty until the store has been made.
	StoreID string
	// TokenSecret is the id of a secret with the key "token"; Token came without.
	TokenSecret, Token string
}

// Bag encodes the answer.
func (a OpenFGAAnswer) Bag() Bag {
	bag := Bag{}
	put(bag, "http_api_url", a.HTTPURL)
	put(bag, "grpc_api_url", a.GRPCURL)
	put(bag, "store_id", a.StoreID)
	put(bag, "token_secret_id", a.TokenSecret)
	put(bag, "token", a.Token)
	return bag
}

// ParseOpenFGAAnswer decodes it. An answer that is not complete yet is no error.
func ParseOpenFGAAnswer(bag Bag) (a OpenFGAAnswer, err error) {
	if a.HTTPURL, err = address("http_api_url", bag["http_api_url"], "http", "https"); err != nil {
		return a, err
	}
	if a.StoreID, err = word("store_id", bag["store_id"]); err != nil {
		return a, err
	}
	if a.TokenSecret, err = secretID("token_secret_id", bag["token_secret_id"]); err != nil {
		return a, err
	}
	a.GRPCURL, a.Token = bag["grpc_api_url"], bag["token"]
	return a, nil
}
