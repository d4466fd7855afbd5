{{- define "refline.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "refline.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "refline.selector" . }}
{{- end }}

{{- define "refline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "refline.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "refline.scheme" -}}
{{- if .Values.server.tls.secretName }}https{{ else }}http{{ end }}
{{- end }}

{{- define "refline.url" -}}
{{ include "refline.scheme" . }}://{{ include "refline.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}

{{/* What every pod has, as the restricted level of Pod Security wants it. A volume's
files are given to the group once: at each start their permissions would be widened,
and the server refuses keys that others can read. */}}
{{- define "refline.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "refline.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "refline.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "refline.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Mistakes that would only be seen later. */}}
{{- define "refline.check" -}}
{{- $s := .Values.server }}
{{- if and $s.enabled (not $s.tls.secretName) (not $s.proxies) (not $s.insecure) }}
{{- fail "tokens would travel in clear: set server.tls.secretName, server.proxies (the networks of the ingress controller), or server.insecure=true" }}
{{- end }}
{{- if and $s.enabled (gt (int $s.replicas) 1) (not (and $s.database.existingSecret $s.blobs.url $s.key.existingSecret)) }}
{{- fail "server.replicas above 1 needs server.database.existingSecret, server.blobs.url and server.key.existingSecret: the servers share state, artifacts and keys" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host" }}
{{- end }}
{{- if and (not $s.enabled) .Values.runner.enabled (not .Values.runner.url) }}
{{- fail "a runner without a server here needs runner.url" }}
{{- end }}
{{- end }}
