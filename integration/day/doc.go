// Package day has the real juju clients, 3.6 and 4.1, work through JIMM with real
// controllers: a day with juju, what is refused, and what happens when a controller dies.
package day
