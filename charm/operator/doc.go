// Package operator is what JIMM's charm does. Whatever the event, it does the
// same:
//
//	observe   leader? options, databags, secrets, the container   → Snapshot
//	plan      what all that should be: a pure function            → Plan
//	apply     the difference, and the status last
//
// Nothing is put off to a later event and nothing is remembered that can be
// found out again, so that any hook makes up for any other, and a second run
// of a hook changes nothing.
//
// Plan is spread over a file for each thing it is about: database.go,
// permissions.go, login.go, address.go and so on.
package operator
