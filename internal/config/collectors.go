package config

import (
	"strconv"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/grouping"
)

// collectorPrefix is the prefix of the flags that enable a collector.
const collectorPrefix = "collector."

// A collectorSwitch is the value of a flag that enables or disables a collector.
type collectorSwitch struct{ on, set bool }

// collectorFlags are the values of the flags about collectors.
type collectorFlags struct {
	disableDefaults bool
	switches        [len(grouping.CollectorTable)]collectorSwitch
	aliases         [len(grouping.CollectorTable)]collectorSwitch
}

// collectors returns the enabled collectors. A flag of one collector has precedence over
// --collector.disable-defaults. A command line has either a flag or its alias, see lastOfEach.
func (f *collectorFlags) collectors() (enabled grouping.CollectorSet) {
	for i, c := range grouping.CollectorTable {
		on := !c.OffByDefault && !f.disableDefaults
		for _, s := range []collectorSwitch{f.switches[i], f.aliases[i]} {
			if s.set {
				on = s.on
			}
		}
		if on {
			enabled |= 1 << i
		}
	}
	return enabled
}

func addCollectorFlags(app *kingpin.Application, s *Settings) {
	for i, c := range grouping.CollectorTable {
		addSwitch(app, collectorPrefix+c.Name, c.Help, !c.OffByDefault, &s.collectorFlags.switches[i])
	}
	app.Flag(collectorPrefix+"disable-defaults", "Disable all collectors that no --collector.NAME enables.").
		BoolVar(&s.collectorFlags.disableDefaults)
}

// addAlias adds an alias of the flag of a collector.
func addAlias(app *kingpin.Application, s *Settings, alias, help string) {
	for i, c := range grouping.CollectorTable {
		if flagAliases[alias] == collectorPrefix+c.Name {
			addSwitch(app, alias, help, !c.OffByDefault, &s.collectorFlags.aliases[i])
		}
	}
}

func addSwitch(app *kingpin.Application, name, help string, byDefault bool, s *collectorSwitch) {
	app.Flag(name, help).Default(strconv.FormatBool(byDefault)).IsSetByUser(&s.set).BoolVar(&s.on)
}
