// Package gateway is what passes through JIMM: the websockets of models. A
// client logs in to JIMM; from then on its frames go to the controller that has
// the model, and the controller's to it, over a connection of its own on which
// the user is logged in with a token of just the rights they have. Frames are
// not decoded beyond what routing, audit and access need.
//
// docs/explanation/model-connections.md says what happens when a controller
// wants more rights than the connection has.
package gateway
