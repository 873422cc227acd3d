package login

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"jimm/workload/estate"
)

// begin begins the session of a person who has logged in. An id is made where
// none is given. Where the client is, is the Caller of ctx.
func (s *Service) begin(ctx context.Context, p person, kind estate.SessionKind, id string) (estate.Session, error) {
	if id == "" {
		random := make([]byte, 16)
		if _, err := io.ReadFull(s.config.Random, random); err != nil {
			return estate.Session{}, fmt.Errorf("cannot make a session id: %w", err)
		}
		id = hex.EncodeToString(random)
	}
	now := s.config.Now()
	if err := s.config.Identities.SaveLogin(ctx, p.Name, p.DisplayName, now); err != nil {
		return estate.Session{}, err
	}
	caller := estate.CallerOf(ctx)
	session := estate.Session{
		ID: id, User: p.Name, Kind: kind, Client: caller.Client, Address: caller.Address,
		StartedAt: now, LastUsed: now, Expires: now.Add(s.config.SessionLife), IdleLimit: s.config.SessionIdle,
		Groups: p.Groups, RefreshedAt: now,
	}
	if err := s.config.Sessions.InsertSession(ctx, session); err != nil {
		return estate.Session{}, err
	}
	s.config.Log.InfoContext(ctx, "a user has logged in", "user", p.Name, "groups", len(p.Groups), "session", id, "address", caller.Address)
	return session, nil
}
