// Package relation holds the interfaces that JIMM's charm speaks, a file each:
// what either side writes into its databags and secrets, and how the other side
// reads it. The charm uses one side, its tests and the providers it is tested
// with the other one. testdata has a worked example of each.
//
// A databag comes from another charm, of another version and perhaps another
// author: whatever is in it, parsing gives a value or an error that names the
// key. Nothing here panics, and no error quotes a secret.
package relation
