// Package grouping assigns processes to the groups that a user defines, and sums
// the resource usage of each group.
//
// # Configuration, rules, matcher
//
// [Load] and [Parse] read a configuration file into a [Config]: a list of
// [Rule] values, tried in order. A rule has selectors, all of which a process must
// match, and a name template, which gives the group its name. [NewNameMapping]
// builds rules from the flags --procnames and --namemapping instead. Both implement
// [Matcher], which maps the [platform.Identity] of one process to its group and
// keeps no state.
//
// A configuration that cannot be used returns a [*ConfigError] with the file, the
// line and a remedy. A configuration that works but contains a likely mistake
// yields a [Warning].
//
// # Tracker
//
// A [Tracker] walks a [platform.Source]. It passes the identity of a process to the
// Matcher when the process is new or its identity changed, and keeps the counters
// of every group. They never decrease.
//
// # Input and output
//
// The package reads its configuration file and nothing else. It uses a clock only for
// deadlines: all other times come from the walk.
package grouping
