// The dashboards, alerts and recording rules as a monitoring mixin.
//
//   jsonnet -J . -e '(import "mixin.libsonnet").prometheusAlerts'
//
// _config.processExporterSelector narrows the alerts about the exporter itself
// to your job.
{
  _config+:: {
    processExporterSelector: 'job=~".*process[-_]exporter.*"',
  },

  local selected(groups) = std.parseJson(std.strReplace(
    std.manifestJsonEx(groups, ''),
    std.strReplace('job=~".*process[-_]exporter.*"', '"', '\\"'),
    std.strReplace($._config.processExporterSelector, '"', '\\"'),
  )),

  prometheusAlerts+:: selected(std.parseYaml(importstr '../../prometheus/alerts.yml')),

  prometheusRules+:: std.parseYaml(importstr '../../prometheus/rules.yml'),

  grafanaDashboards+:: {
    'process-exporter-overview.json': import '../overview.json',
    'process-exporter-group.json': import '../group.json',
  },
}
