{{/*
A Deployment and what belongs to it.
  root      the chart's own dot
  role      worker, scheduler or exporter; the container's name as well
  group     of workers; none for the others
  told      the values of this role
  args      a list
  grace     seconds until it is killed
  port      where metrics and probes are; 0 = it serves none
  startup   whether it says when it has begun
*/}}
{{- define "rqueue.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "rqueue.object" . }}
  labels:
    {{- include "rqueue.labels" .root | nindent 4 }}
spec:
  {{- if not (and .told.keda .told.keda.enabled) }}
  replicas: {{ .told.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "rqueue.selector" . | nindent 6 }}
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- include "rqueue.selector" . | nindent 8 }}
        app.kubernetes.io/part-of: rqueue
        {{- with .told.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .told.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "rqueue.serviceAccount" . }}
      automountServiceAccountToken: false
      # Else a service named rqueue-exporter would set RQUEUE_EXPORTER_PORT, which is an option.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .told.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .told.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .told.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .told.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .root.Values.podSecurityContext | nindent 8 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "rqueue.selector" . | nindent 14 }}
      containers:
        - {{ include "rqueue.container" . | indent 10 | trim }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with .told.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- define "rqueue.container" -}}
name: {{ .role }}
image: {{ include "rqueue.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args:
  {{- range concat .args (include "rqueue.log" .root | fromJsonArray) .told.extraArgs }}
  - {{ . | toString | quote }}
  {{- end }}
env:
  - name: RQUEUE_APP
    value: {{ .root.Values.app | quote }}
  {{- with .root.Values.namespace }}
  - name: RQUEUE_NAMESPACE
    value: {{ . | quote }}
  {{- end }}
  - name: RQUEUE_URL
    valueFrom:
      secretKeyRef:
        name: {{ .told.existingSecret | default .root.Values.redis.existingSecret | default (include "rqueue.role" .) }}
        key: {{ .root.Values.redis.key }}
  {{- with concat .root.Values.extraEnv .told.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .port }}
ports:
  - name: metrics
    containerPort: {{ .port }}
# A Redis that is away makes it not ready, and is no reason to start it anew.
{{- if .startup }}
startupProbe:
  httpGet:
    path: /startupz
    port: metrics
  periodSeconds: 2
  failureThreshold: 60
{{- end }}
livenessProbe:
  httpGet:
    path: /livez
    port: metrics
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: metrics
  periodSeconds: 5
{{- end }}
resources:
  {{- toYaml .told.resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.containerSecurityContext | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .told.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "rqueue.image" -}}
{{- $repository := required "image.repository is not set: it is the image of your app, such as registry.example.com/app" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "rqueue.account" -}}
{{- if .root.Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "rqueue.role" . }}
  labels:
    {{- include "rqueue.labels" .root | nindent 4 }}
  {{- with .root.Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{- define "rqueue.budget" -}}
{{- if .told.podDisruptionBudget.enabled -}}
# Against drains of nodes; it does not hold back whoever scales down.
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rqueue.object" . }}
  labels:
    {{- include "rqueue.labels" .root | nindent 4 }}
spec:
  maxUnavailable: {{ .told.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "rqueue.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* What every command is told of logs, as JSON. */}}
{{- define "rqueue.log" -}}
{{- $words := list "--log-format" .Values.log.format -}}
{{- with .Values.log.level -}}
{{- $words = concat $words (list "--log-level" .) -}}
{{- end -}}
{{- toJson $words -}}
{{- end -}}
