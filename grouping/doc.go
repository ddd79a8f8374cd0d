// Package grouping puts processes into the groups that a user defines, and
// adds up what each group uses.
//
// The rules of a configuration file become a [Matcher]; it looks at nothing but
// the words of one process. A [Tracker] walks a [platform.Source], asks the
// Matcher about processes that are new or have become another program, and
// keeps the counters of every group, which never fall.
//
// The package reads its configuration and nothing else; time comes from the
// walk. A configuration that cannot be used yields a [*ConfigError], which
// names file, line and remedy; what is merely suspicious is a [Warning].
package grouping
