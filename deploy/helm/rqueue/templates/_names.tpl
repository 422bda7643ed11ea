{{/* The release, unless its name says rqueue already; short enough for what is added to it. */}}
{{- define "rqueue.name" -}}
{{- if contains "rqueue" .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-rqueue" (.Release.Name | trunc 23 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* What a role is called: <release>-worker. It is also the label that its metrics get as job. */}}
{{- define "rqueue.role" -}}
{{ include "rqueue.name" .root }}-{{ .role }}
{{- end -}}

{{/* What its objects are called: a group of workers has its own. */}}
{{- define "rqueue.object" -}}
{{ include "rqueue.role" . }}{{ with .group }}-{{ . }}{{ end }}
{{- end -}}

{{- define "rqueue.serviceAccount" -}}
{{- if .root.Values.serviceAccount.create -}}
{{ include "rqueue.role" . }}
{{- else -}}
{{ required "serviceAccount.name is not set: with serviceAccount.create=false, name the account that the pods run as" .root.Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* What picks the pods of an object; it must never change, so nothing of the chart's version is in it. */}}
{{- define "rqueue.selector" -}}
app.kubernetes.io/name: {{ include "rqueue.role" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .group }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "rqueue.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: rqueue
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The groups of workers, each with what it left out, as YAML. */}}
{{- define "rqueue.groups" -}}
{{- $groups := dict -}}
{{- range $name, $group := .Values.workers | default (dict "default" dict) -}}
{{- if not (kindIs "invalid" $group) -}}
{{- $_ := set $groups $name (mergeOverwrite (deepCopy $.Values.workerDefaults) $group) -}}
{{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/* Mebibytes of a quantity such as 400Mi or 2Gi; 0 where it is spelled in another way. */}}
{{- define "rqueue.mebibytes" -}}
{{- if hasSuffix "Gi" . -}}{{ mul (trimSuffix "Gi" . | int64) 1024 }}
{{- else if hasSuffix "Mi" . -}}{{ trimSuffix "Mi" . | int64 }}
{{- else -}}0{{- end -}}
{{- end -}}
