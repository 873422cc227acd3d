package facade

import (
	"context"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// Of an estate, what a login asks.
type (
	emptyStore     struct{ estate.Store }
	noPermissions  struct{ estate.Permissions }
	aliceWithToken struct{ Logins }
)

func (emptyStore) Controllers(context.Context, ...estate.ControllerState) ([]estate.Controller, error) {
	return nil, nil
}

func (noPermissions) Check(context.Context, estate.User, estate.Relation, estate.Object) (bool, error) {
	return false, nil
}

func (aliceWithToken) VerifyToken(context.Context, string) (estate.User, error) {
	return estate.User{Name: "alice@example.com"}, nil
}

func TestALoginThatCannotBeRecordedEndsTheConnection(t *testing.T) {
	for unwritten, wanted := range map[error]int{nil: 0, &estate.Error{Code: estate.CodeConnectionFailed, Message: "not written"}: 1} {
		s := &Server{
			Estate: &estate.Estate{
				UUID: "11111111-2222-3333-4444-555555555555", Store: emptyStore{}, Permissions: noPermissions{}, Now: time.Now,
			},
			Logins: aliceWithToken{},
			Record: func(context.Context, *Connection, *rpc.Request) (func(error) error, error) {
				return func(error) error { return unwritten }, nil
			},
		}
		c := s.Connect("1", nil, "")
		ended := 0
		c.End = func() { ended++ }
		_, err := c.ServeRPC(t.Context(), &rpc.Request{
			RequestID: 1, Type: "Admin", Version: 4, Method: "LoginWithSessionToken", Params: []byte(`{"session-token":"good"}`),
		})
		if err != unwritten || ended != wanted {
			t.Errorf("where the log says %v the login gives %v, and ends the connection %d times", unwritten, err, ended)
		}
		c.Close()
	}
}
