package login

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"jimm/workload/estate"
)

// begin begins the session of a person who has logged in. What kind it is and
// how long it lasts is given, the rest filled in; an id is made where none is
// given. Where the client is, is the Caller of ctx.
func (s *Service) begin(ctx context.Context, p person, session estate.Session) (estate.Session, error) {
	if session.ID == "" {
		random := make([]byte, 16)
		if _, err := io.ReadFull(s.config.Random, random); err != nil {
			return estate.Session{}, fmt.Errorf("cannot make a session id: %w", err)
		}
		session.ID = hex.EncodeToString(random)
	}
	now := s.config.Now()
	if err := s.config.Identities.SaveLogin(ctx, p.Name, p.DisplayName, now); err != nil {
		return estate.Session{}, err
	}
	caller := estate.CallerOf(ctx)
	session.User, session.Groups, session.Client, session.Address = p.Name, p.Groups, caller.Client, caller.Address
	session.StartedAt, session.LastUsed, session.RefreshedAt = now, now, now
	if err := s.config.Sessions.InsertSession(ctx, session); err != nil {
		return estate.Session{}, err
	}
	s.config.Log.InfoContext(ctx, "a user has logged in", "user", p.Name, "groups", len(p.Groups), "session", session.ID, "kind", session.Kind, "address", caller.Address)
	return session, nil
}
