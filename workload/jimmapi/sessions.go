package jimmapi

import "time"

// Session is a login of a person.
type Session struct {
	// ID is no secret. It may be shortened to eight or more characters where a
	// request names it.
	ID      string `json:"id"`
	UserTag string `json:"user-tag"`
	// Kind is "device", of a juju client, or "browser".
	Kind string `json:"kind"`
	// Client is what the client calls itself, and Address where it logged in from.
	Client  string    `json:"client"`
	Address string    `json:"address"`
	Started time.Time `json:"started"`
	// LastUsed is exact to a minute.
	LastUsed time.Time `json:"last-used"`
	// Expires is when it ends, if it is used.
	Expires time.Time `json:"expires"`
	// IdleSeconds is for how long it may be unused; 0 is without a limit.
	IdleSeconds int64 `json:"idle-seconds,omitempty"`
	// Current is set for the one in which this is asked.
	Current bool `json:"current,omitempty"`
}

// ListSessionsRequest are the parameters of ListSessions: whose sessions. With
// neither they are the caller's own; others' need an administrator of JIMM.
type ListSessionsRequest struct {
	UserTag string `json:"user-tag,omitempty"`
	All     bool   `json:"all,omitempty"`
}

// ListSessionsResponse is the result of ListSessions, by user, the newest first.
type ListSessionsResponse struct {
	Sessions []Session `json:"sessions"`
}

// RevokeSessionsRequest are the parameters of RevokeSessions: just one of IDs,
// all sessions of a user, whose connections without a session end too, or all
// sessions there are.
type RevokeSessionsRequest struct {
	IDs     []string `json:"ids,omitempty"`
	UserTag string   `json:"user-tag,omitempty"`
	All     bool     `json:"all,omitempty"`
}

// RevokeSessionsResponse is the result of RevokeSessions: those that ended.
type RevokeSessionsResponse struct {
	Sessions []Session `json:"sessions"`
}
