{{- define "process-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "process-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "process-exporter.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "process-exporter.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "process-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "process-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "process-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "process-exporter.metadata" -}}
{{- include "process-exporter.objectMetadata" (dict "context" . "name" (include "process-exporter.fullname" .)) }}
{{- end }}

{{/* The metadata of an object with another name, or in another namespace. */}}
{{- define "process-exporter.objectMetadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default (include "process-exporter.namespace" .context) }}
labels:
  {{- include "process-exporter.selectorLabels" .context | nindent 2 }}
  app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .context.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version }}
  {{- with .context.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "process-exporter.image" -}}
{{- $name := .Values.image.repository }}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- if .Values.image.digest }}{{ $name }}@{{ .Values.image.digest }}
{{- else }}{{ $name }}:{{ default (printf "v%s" .Chart.AppVersion) .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "process-exporter.configmap" -}}
{{- default (include "process-exporter.fullname" .) .Values.configmap.name }}
{{- end }}

{{/* imagePullSecrets and global.imagePullSecrets, which can be names or maps with a name. */}}
{{- define "process-exporter.imagePullSecrets" -}}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
- name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
{{- end }}
{{- end }}

{{/* The port. service.port sets it too, as in the charts of node-exporter and mumoshu. */}}
{{- define "process-exporter.port" -}}
{{- .Values.service.port | default .Values.port.number | int }}
{{- end }}

{{/* The text of the configuration file. configFile is a text or a mapping; groups is its list process_names. */}}
{{- define "process-exporter.config" -}}
{{- $file := .Values.configmap.configFile }}
{{- if .Values.groups }}{{ $file = dict "process_names" .Values.groups }}{{ end }}
{{- if not $file }}{{ $file = .Files.Get "files/config.yml" }}{{ end }}
{{- if kindIs "string" $file }}{{ $file }}{{ else }}{{ toYaml $file }}{{ end }}
{{- end }}

{{/* prometheus.monitor, or serviceMonitor of the chart of mumoshu, as YAML. */}}
{{- define "process-exporter.monitor" -}}
{{- $monitor := deepCopy .Values.prometheus.monitor }}
{{- if .Values.serviceMonitor.enabled }}
{{- $theirs := dict "enabled" true "interval" .Values.serviceMonitor.interval "scrapeTimeout" .Values.serviceMonitor.scrapeTimeout "additionalLabels" .Values.serviceMonitor.labels }}
{{- range $key, $value := $theirs }}{{ if $value }}{{ $_ := set $monitor $key $value }}{{ end }}{{ end }}
{{- end }}
{{- toYaml $monitor }}
{{- end }}

{{/* The security context of the pod: values override single fields of the profile. */}}
{{- define "process-exporter.podSecurityContext" -}}
{{- $context := dict "runAsUser" 0 }}
{{- $given := .Values.securityContext | default dict }}
{{- if or (eq .Values.profile "basic") $given.runAsNonRoot (.Values.containerSecurityContext | default dict).runAsNonRoot }}
{{- $context = dict "runAsUser" 65534 "runAsGroup" 65534 "runAsNonRoot" true }}
{{- end }}
{{- $_ := set $context "seccompProfile" (dict "type" (.Values.bpf.enabled | ternary "Unconfined" "RuntimeDefault")) }}
{{- with .Values.appArmorProfile }}{{ $_ := set $context "appArmorProfile" (dict "type" .) }}{{ end }}
{{- with .Values.seLinuxOptions }}{{ $_ := set $context "seLinuxOptions" . }}{{ end }}
{{- range $key, $value := $given }}{{ $_ := set $context $key $value }}{{ end }}
{{- toYaml $context }}
{{- end }}

{{/* The security context of the container: values override single fields. */}}
{{- define "process-exporter.containerSecurityContext" -}}
{{- $capabilities := dict "drop" (list "ALL") }}
{{- if ne .Values.profile "basic" }}
{{- $_ := set $capabilities "add" (concat (list "SYS_PTRACE" "DAC_READ_SEARCH") (.Values.bpf.enabled | ternary (list "BPF" "PERFMON") list)) }}
{{- end }}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" $capabilities }}
{{- range $key, $value := .Values.containerSecurityContext }}{{ $_ := set $context $key $value }}{{ end }}
{{- toYaml $context }}
{{- end }}
