{{/* What the webhooks' Deployment has of its own; see _deployment.tpl. Flags are upstream's (cmd/webhooks/main.go). */}}

{{- define "keda.webhooks.labels" -}}
app: {{ .Values.webhooks.name }}
name: {{ .Values.webhooks.name }}
{{- end -}}

{{- define "keda.webhooks.podLabels" -}}
{{- end -}}

{{- define "keda.webhooks.podAnnotations" -}}
{{- end -}}

{{- define "keda.webhooks.args" -}}
- --zap-log-level={{ .Values.logging.webhooks.level }}
- --zap-encoder={{ .Values.logging.webhooks.format }}
- --zap-time-encoding={{ .Values.logging.webhooks.timeEncoding }}
- --cert-dir={{ .Values.certificates.mountPath }}
- --port={{ .Values.webhooks.port | default 9443 }}
- --health-probe-bind-address=:{{ .Values.webhooks.healthProbePort }}
- --metrics-bind-address=:{{ .Values.prometheus.webhooks.port }}
{{- if .Values.profiling.webhooks.enabled }}
- --profiling-bind-address=:{{ .Values.profiling.webhooks.port }}
{{- end }}
{{- end -}}

{{- define "keda.webhooks.env" -}}
- name: WATCH_NAMESPACE
  value: {{ .Values.watchNamespace | quote }}
{{ include "keda.env.pod" . }}
{{ include "keda.env.tls" . }}
{{- end -}}

{{- define "keda.webhooks.ports" -}}
- name: https
  containerPort: {{ .Values.webhooks.port | default 9443 }}
  protocol: TCP
{{- if .Values.prometheus.webhooks.enabled }}
- name: metrics
  containerPort: {{ .Values.prometheus.webhooks.port }}
  protocol: TCP
{{- end }}
{{- end -}}

{{- define "keda.webhooks.probe" -}}
port: {{ .Values.webhooks.healthProbePort }}
{{- end -}}

{{- define "keda.webhooks.mounts" -}}
{{- end -}}

{{- define "keda.webhooks.volumes" -}}
{{- end -}}
