{{/* What the clouds read on the operator's ServiceAccount. */}}

{{- define "keda.identity.labels" -}}
{{- if .Values.podIdentity.azureWorkload.enabled }}
azure.workload.identity/use: "true"
{{- end }}
{{- end -}}

{{- define "keda.identity.annotations" -}}
{{- with .Values.podIdentity.azureWorkload }}
{{- if .enabled }}
{{- with .clientId }}
azure.workload.identity/client-id: {{ . | quote }}
{{- end }}
{{- with .tenantId }}
azure.workload.identity/tenant-id: {{ . | quote }}
{{- end }}
azure.workload.identity/service-account-token-expiration: {{ .tokenExpiration | toString | quote }}
{{- end }}
{{- end }}
{{- with .Values.podIdentity.aws.irsa }}
{{- if .enabled }}
{{- with .audience }}
eks.amazonaws.com/audience: {{ . | quote }}
{{- end }}
{{- with .roleArn }}
eks.amazonaws.com/role-arn: {{ . | quote }}
{{- end }}
{{- with .stsRegionalEndpoints }}
eks.amazonaws.com/sts-regional-endpoints: {{ . | toString | quote }}
{{- end }}
eks.amazonaws.com/token-expiration: {{ .tokenExpiration | toString | quote }}
{{- end }}
{{- end }}
{{- with .Values.podIdentity.gcp }}
{{- if and .enabled .gcpIAMServiceAccount }}
iam.gke.io/gcp-service-account: {{ .gcpIAMServiceAccount | quote }}
{{- end }}
{{- end }}
{{- end -}}
