package jimmapi

import "time"

// RotateSigningKeysRequest are the parameters of RotateSigningKeys, whose result
// is a SigningKeySchedule, as is that of ShowSigningKeys, which has none.
type RotateSigningKeysRequest struct {
	// Emergency replaces all keys at once, for keys that others have seen. Until
	// a controller has asked for the new set nobody can log in to it.
	Emergency bool `json:"emergency"`
}

// SigningKeySchedule says which key signs tokens for controllers when.
type SigningKeySchedule struct {
	// Keys has the oldest first.
	Keys []SigningKey `json:"keys"`
	// MaxAge is for how many seconds a controller may keep the set, Lead for how
	// many a key is public before it signs.
	MaxAge int `json:"max-age-seconds"`
	Lead   int `json:"lead-seconds"`
}

// SigningKey is a key, without the key itself.
type SigningKey struct {
	ID string `json:"id"`
	// State is next (public, does not sign yet), signs, or retired (public while
	// what it signed may be in use).
	State       string     `json:"state"`
	PublicFrom  *time.Time `json:"public-from,omitempty"`
	SignsFrom   time.Time  `json:"signs-from"`
	SignsUntil  *time.Time `json:"signs-until,omitempty"`
	PublicUntil *time.Time `json:"public-until,omitempty"`
}
