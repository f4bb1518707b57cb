{{/* What the operator's Deployment has of its own; see _deployment.tpl. Flags and variables are upstream's (cmd/operator/main.go). */}}

{{- define "keda.operator.labels" -}}
app: {{ .Values.operator.name }}
name: {{ .Values.operator.name }}
{{- end -}}

{{- define "keda.operator.podLabels" -}}
{{- if .Values.podIdentity.azureWorkload.enabled }}
azure.workload.identity/use: "true"
{{- end }}
{{- end -}}

{{- define "keda.operator.podAnnotations" -}}
{{- end -}}

{{- define "keda.operator.args" -}}
- --leader-elect
{{- with .Values.operator.leaderElectionID }}
- {{ printf "--leader-election-id=%s" . | quote }}
{{- end }}
- --disable-compression={{ .Values.operator.disableCompression }}
- --zap-log-level={{ .Values.logging.operator.level }}
- --zap-encoder={{ .Values.logging.operator.format }}
- --zap-time-encoding={{ .Values.logging.operator.timeEncoding }}
{{- if .Values.logging.operator.stackTracesEnabled }}
- --zap-stacktrace-level=error
{{- end }}
- --health-probe-bind-address=:{{ .Values.operator.healthProbePort | default 8081 }}
- --cert-dir={{ .Values.certificates.mountPath }}
- --cert-secret-name={{ .Values.certificates.secretName }}
- --enable-cert-rotation={{ eq (include "keda.rotates" .) "true" }}
- --enable-webhook-patching={{ .Values.webhooks.enabled }}
{{- $patching := ((.Values.certificates.operator).apiServicePatching).enabled }}
{{- if and (eq (include "keda.rotates" .) "true") (not (kindIs "invalid" $patching)) }}
- --enable-apiservice-patching={{ $patching }}
{{- end }}
- --operator-service-name={{ .Values.operator.name }}
- --metrics-server-service-name={{ include "keda.metricsServer.name" . }}
- --webhooks-service-name={{ .Values.webhooks.name }}
- {{ printf "--k8s-cluster-name=%s" (tpl .Values.clusterName .) | quote }}
- --k8s-cluster-domain={{ .Values.clusterDomain }}
- --enable-prometheus-metrics={{ .Values.prometheus.operator.enabled }}
{{- if .Values.prometheus.operator.enabled }}
- --metrics-bind-address=:{{ .Values.prometheus.operator.port }}
{{- end }}
{{- if .Values.opentelemetry.operator.enabled }}
- --enable-opentelemetry-metrics=true
{{- end }}
{{- if .Values.profiling.operator.enabled }}
- --profiling-bind-address=:{{ .Values.profiling.operator.port }}
{{- end }}
{{- range (.Values.certificates.operator).caDirs }}
- {{ printf "--ca-dir=%s" . | quote }}
{{- end }}
- --http-max-idle-conns={{ .Values.http.maxIdleConns }}
- --http-max-idle-conns-per-host={{ .Values.http.maxIdleConnsPerHost }}
- --http-idle-conn-timeout={{ .Values.http.idleConnTimeout }}
{{- end -}}

{{- define "keda.operator.env" -}}
- name: WATCH_NAMESPACE
  value: {{ .Values.watchNamespace | quote }}
- name: WATCH_LABEL_SELECTOR
  value: {{ .Values.watchLabelSelector | quote }}
- name: WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH
  value: {{ .Values.watchLabelSelectorForTriggerauth | quote }}
{{ include "keda.env.pod" . }}
- name: OPERATOR_NAME
  value: {{ .Values.operator.name | quote }}
{{ include "keda.env.http" . }}
{{ include "keda.env.tls" . }}
{{- if .Values.permissions.operator.restrict.secret }}
- name: KEDA_RESTRICT_SECRET_ACCESS
  value: "true"
{{- end }}
{{- /* The ServiceAccount may be the user's own: its annotations are not the chart's to write then. */}}
{{- with .Values.podIdentity.azureWorkload }}
{{- if and .enabled .clientId }}
- name: AZURE_CLIENT_ID
  value: {{ .clientId | quote }}
{{- end }}
{{- if and .enabled .tenantId }}
- name: AZURE_TENANT_ID
  value: {{ .tenantId | quote }}
{{- end }}
{{- end }}
{{- with .Values.opentelemetry.collector.uri }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "keda.operator.ports" -}}
- name: metricsservice
  containerPort: 9666
  protocol: TCP
{{- if .Values.prometheus.operator.enabled }}
- name: metrics
  containerPort: {{ .Values.prometheus.operator.port }}
  protocol: TCP
{{- end }}
{{- end -}}

{{- define "keda.operator.probe" -}}
port: {{ .Values.operator.healthProbePort | default 8081 }}
{{- end -}}

{{- define "keda.operator.mounts" -}}
{{- if .Values.grpcTLSCertsSecret }}
- name: grpc-certs
  mountPath: /grpccerts
  readOnly: true
{{- end }}
{{- if .Values.hashiCorpVaultTLS }}
- name: hashicorp-vault-certs
  mountPath: /hashicorp-vaultcerts
  readOnly: true
{{- end }}
{{- end -}}

{{- define "keda.operator.volumes" -}}
{{- with .Values.grpcTLSCertsSecret }}
- name: grpc-certs
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.hashiCorpVaultTLS }}
- name: hashicorp-vault-certs
  secret:
    secretName: {{ . }}
{{- end }}
{{- end -}}
