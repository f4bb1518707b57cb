{{/* What the metrics server's Deployment has of its own; see _deployment.tpl. Flags and variables are upstream's (cmd/adapter/main.go). */}}

{{- define "keda.metricsServer.labels" -}}
app: {{ include "keda.metricsServer.name" . }}
{{- end -}}

{{- define "keda.metricsServer.podLabels" -}}
{{- end -}}

{{- define "keda.metricsServer.podAnnotations" -}}
{{- include "keda.scrape" .Values.prometheus.metricServer -}}
{{- end -}}

{{- define "keda.metricsServer.args" -}}
- --port={{ .Values.prometheus.metricServer.port }}
- --secure-port={{ .Values.service.portHttpsTarget }}
- --disable-compression={{ .Values.metricsServer.disableCompression }}
- --metrics-service-address={{ .Values.operator.name }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:9666
{{- with .Values.certificates.mountPath }}
- --cert-dir={{ . }}
- --tls-cert-file={{ . }}/tls.crt
- --tls-private-key-file={{ . }}/tls.key
{{- end }}
{{- with .Values.logging.metricServer }}
{{- /* It has no effect, and the process says so: only for who asks for it. */}}
{{- if ne (toString .stderrthreshold) "ERROR" }}
- --stderrthreshold={{ .stderrthreshold }}
{{- end }}
- --zap-log-level={{ ternary .level .zapLevel (gt (int .level) 0) }}
- --zap-encoder={{ .zapEncoder }}
- --zap-time-encoding={{ .zapTimeEncoding }}
{{- end }}
{{- if .Values.profiling.metricsServer.enabled }}
- --profiling-bind-address=:{{ .Values.profiling.metricsServer.port }}
{{- end }}
{{- end -}}

{{- define "keda.metricsServer.env" -}}
- name: WATCH_NAMESPACE
  value: {{ .Values.watchNamespace | quote }}
{{ include "keda.env.pod" . }}
{{ include "keda.env.http" . }}
{{ include "keda.env.tls" . }}
{{- if .Values.permissions.metricServer.restrict.secret }}
- name: KEDA_RESTRICT_SECRET_ACCESS
  value: "true"
{{- end }}
{{- end -}}

{{- define "keda.metricsServer.ports" -}}
- name: https
  containerPort: {{ .Values.service.portHttpsTarget }}
  protocol: TCP
- name: {{ .Values.prometheus.metricServer.portName }}
  containerPort: {{ .Values.prometheus.metricServer.port }}
  protocol: TCP
{{- end -}}

{{- define "keda.metricsServer.probe" -}}
port: {{ .Values.service.portHttpsTarget }}
scheme: HTTPS
{{- end -}}

{{- define "keda.metricsServer.mounts" -}}
{{- end -}}

{{- define "keda.metricsServer.volumes" -}}
{{- end -}}
