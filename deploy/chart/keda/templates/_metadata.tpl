{{/*
Labels and annotations. Values are strings whatever the user wrote: the API server takes nothing else.
*/}}

{{- define "keda.strings" -}}
{{- $strings := dict -}}
{{- range $key, $value := . }}{{ $_ := set $strings $key (toString $value) }}{{ end -}}
{{- toYaml $strings -}}
{{- end -}}

{{/* Labels of everything. Takes root and name (app.kubernetes.io/name). */}}
{{- define "keda.labels" -}}
{{- $labels := include "keda.labels.chart" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/instance" .root.Release.Name -}}
{{- include "keda.strings" (mergeOverwrite $labels (.root.Values.additionalLabels | default dict)) -}}
{{- end -}}

{{/* Labels of the custom resource definitions, which belong to no instance. */}}
{{- define "keda.labels.chart" -}}
{{- with .root }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Values.customManagedBy | default .Release.Service }}
app.kubernetes.io/part-of: {{ .Values.operator.name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}
app.kubernetes.io/name: {{ .name }}
{{- end -}}

{{/*
A whole metadata. Takes root and name, and as needed: namespace, label (app.kubernetes.io/name where it is not the name),
labels and annotations (dicts, before the additional ones).
*/}}
{{- define "keda.metadata" -}}
name: {{ .name | quote }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- $labels := include "keda.labels" (dict "root" .root "name" (.label | default .name)) | fromYaml }}
  {{- include "keda.strings" (mergeOverwrite $labels (.labels | default dict)) | nindent 2 }}
{{- with mergeOverwrite (deepCopy (.root.Values.additionalAnnotations | default dict)) (.annotations | default dict) }}
annotations:
  {{- include "keda.strings" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Annotations for a Prometheus that looks at annotations, unless a monitor does the work. Takes a section of prometheus. */}}
{{- define "keda.scrape" -}}
{{- if and .enabled (not (or (.serviceMonitor | default dict).enabled (.podMonitor | default dict).enabled)) }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
{{- end }}
{{- end -}}

{{/* Annotations of a Service. Takes root and prometheus. */}}
{{- define "keda.service.annotations" -}}
{{- $scrape := include "keda.scrape" .prometheus | fromYaml -}}
{{- if $scrape }}{{ $_ := set $scrape "prometheus.io/path" "/metrics" }}{{ end -}}
{{- toYaml (mergeOverwrite $scrape (deepCopy (.root.Values.additionalAnnotations | default dict)) (.root.Values.service.annotations | default dict)) -}}
{{- end -}}

{{/* What cert-manager's injector looks for. */}}
{{- define "keda.injection" -}}
{{- with .Values.certificates.certManager }}
{{- if .enabled }}
{{- if and (not .generateCA) .issuer.generate }}
cert-manager.io/inject-ca-from-secret: {{ $.Release.Namespace }}/{{ .caSecretName }}
{{- else }}
cert-manager.io/inject-ca-from: {{ $.Release.Namespace }}/{{ $.Values.operator.name }}-tls-certificates
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
