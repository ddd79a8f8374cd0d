{{/* Known values: a value may have any content if its path is listed. A test compares this list with values.yaml. */}}
{{- define "process-exporter.known" -}}
affinity
appArmorProfile
bpf.enabled
commonLabels
configmap.configFile
configmap.create
configmap.enabled
configmap.mountPath
configmap.name
containerNames.enabled
containerSecurityContext
daemonsetAnnotations
dashboards.annotations
dashboards.enabled
dashboards.labels
dashboards.namespace
dnsConfig
dnsPolicy
enabled
env
extraArgs
extraHostVolumeMounts
extraInitContainers
extraVolumeMounts
extraVolumes
fullnameOverride
global
groups
hostIPC
hostNetwork
hostPID
hostProcFsMount.mountPropagation
hostUsers
image.digest
image.pullPolicy
image.registry
image.repository
image.tag
imagePullSecrets
livenessProbe
nameOverride
namespaceOverride
networkPolicy.enabled
networkPolicy.from
nodeSelector
podAnnotations
podLabels
port.name
port.number
priorityClassName
profile
prometheus.monitor.additionalLabels
prometheus.monitor.enabled
prometheus.monitor.interval
prometheus.monitor.metricRelabelings
prometheus.monitor.relabelings
prometheus.monitor.scrapeTimeout
prometheus.podMonitor.additionalLabels
prometheus.podMonitor.enabled
prometheus.podMonitor.interval
prometheus.podMonitor.metricRelabelings
prometheus.podMonitor.relabelings
prometheus.podMonitor.scrapeTimeout
prometheusRule.additionalLabels
prometheusRule.enabled
prometheusRule.namespace
rbac.create
rbac.pspEnabled
readinessProbe
resources
restartPolicy
revisionHistoryLimit
seLinuxOptions
securityContext
service.annotations
service.enabled
service.nodePort
service.port
service.targetPort
service.type
serviceAccount.annotations
serviceAccount.automountServiceAccountToken
serviceAccount.create
serviceAccount.imagePullSecrets
serviceAccount.name
serviceMonitor.enabled
serviceMonitor.interval
serviceMonitor.labels
serviceMonitor.scrapeTimeout
terminationGracePeriodSeconds
tolerations
updateStrategy
{{- end }}

{{/* Values of other charts that this chart does not have, and what to use instead. */}}
{{- define "process-exporter.replacements" -}}
config: configmap.configFile
templates: configmap.configFile
service.portName: port.name
service.servicePort: service.port
prometheus.prometheusRule: prometheusRule
prometheus.serviceMonitor: prometheus.monitor
grafana: dashboards
apparmorProfile: appArmorProfile
args: extraArgs
command: extraArgs
{{- end }}

{{/* Reports all invalid values in one error. */}}
{{- define "process-exporter.validate" -}}
{{- $known := splitList "\n" (include "process-exporter.known" .) }}
{{- $problems := dict "list" list }}
{{- include "process-exporter.checkKeys" (dict "path" "" "values" .Values "known" $known "problems" $problems) }}
{{- $list := $problems.list }}
{{- if hasSuffix "ncabatoff/process-exporter" .Values.image.repository }}
{{- $list = append $list "image.repository: the program in this image does not have the flags that this chart sets; remove image from your values, or use chart and image of ncabatoff/process-exporter" }}
{{- end }}
{{- $port := include "process-exporter.port" . }}
{{- with .Values.service.targetPort }}
{{- if not (has (toString .) (list $port $.Values.port.name)) }}
{{- $list = append $list (printf "service.targetPort is %v, but the exporter listens on port %s (service.port or port.number); remove service.targetPort" . $port) }}
{{- end }}
{{- end }}
{{- if and (kindIs "bool" .Values.hostUsers) (not .Values.hostUsers) .Values.hostPID }}
{{- $list = append $list "hostUsers: false: Kubernetes refuses it together with hostPID, which the exporter needs; remove hostUsers" }}
{{- end }}
{{- if and .Values.groups .Values.configmap.configFile }}
{{- $list = append $list "groups and configmap.configFile are both set; move the rules of groups to process_names in configmap.configFile" }}
{{- end }}
{{- with $list }}
{{- fail (printf "invalid values:\n  %s" (join "\n  " .)) }}
{{- end }}
{{- end }}

{{- define "process-exporter.checkKeys" -}}
{{- $outer := . }}
{{- range $key, $value := .values }}
{{- $path := trimPrefix "." (printf "%s.%s" $outer.path $key) }}
{{- if not (has $path $outer.known) }}
{{- $isParent := false }}
{{- range $outer.known }}{{ if hasPrefix (printf "%s." $path) . }}{{ $isParent = true }}{{ end }}{{ end }}
{{- if and $isParent (kindIs "map" $value) }}
{{- include "process-exporter.checkKeys" (dict "path" $path "values" $value "known" $outer.known "problems" $outer.problems) }}
{{- else if not $isParent }}
{{- $suggestion := include "process-exporter.suggest" (dict "path" $path "known" $outer.known) }}
{{- $message := printf "unknown value %s%s" $path (empty $suggestion | ternary "" (printf ", did you mean %s?" $suggestion)) }}
{{- $_ := set $outer.problems "list" (append $outer.problems.list $message) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The known value that an unknown path most likely means: a value with another name here, the same path or last element in
another spelling, or a path that differs in one letter.
*/}}
{{- define "process-exporter.suggest" -}}
{{- $path := .path }}
{{- $candidates := list }}
{{- range .known }}
{{- $elements := splitList "." . }}
{{- range $i := until (len $elements) }}
{{- $candidates = append $candidates (join "." (slice $elements 0 (add1 $i))) }}
{{- end }}
{{- end }}
{{- $candidates = uniq $candidates }}
{{- $best := get (include "process-exporter.replacements" . | fromYaml) $path | default "" }}
{{- $plain := include "process-exporter.plain" $path }}
{{- range $candidates }}
{{- if and (not $best) (eq $plain (include "process-exporter.plain" .)) }}{{ $best = . }}{{ end }}
{{- end }}
{{- $last := include "process-exporter.plain" (splitList "." $path | last) }}
{{- range $candidates }}
{{- if and (not $best) (eq $last (include "process-exporter.plain" (splitList "." . | last))) }}{{ $best = . }}{{ end }}
{{- end }}
{{- $variants := splitList "\n" (include "process-exporter.variants" $plain) }}
{{- range $candidates }}
{{- $candidate := include "process-exporter.plain" . }}
{{- if and (not $best) (le (len $candidate) (add1 (len $plain))) (ge (len $candidate) (sub (len $plain) 1)) }}
{{- range splitList "\n" (include "process-exporter.variants" $candidate) }}
{{- if has . $variants }}{{ $best = "?" }}{{ end }}
{{- end }}
{{- if eq $best "?" }}{{ $best = . }}{{ end }}
{{- end }}
{{- end }}
{{- $best }}
{{- end }}

{{- define "process-exporter.plain" -}}
{{- . | lower | replace "-" "" | replace "_" "" }}
{{- end }}

{{/* A text, and the text without each one of its letters. Two texts that differ in one letter have one of these in common. */}}
{{- define "process-exporter.variants" -}}
{{- $text := . }}
{{- $text }}
{{- range $i := until (len $text) }}
{{ substr 0 $i $text }}{{ substr (int (add1 $i)) (len $text) $text }}
{{- end }}
{{- end }}
