{{/* The operator's account as the subject of a binding. */}}
{{- define "keda.rbac.operator" -}}
- kind: ServiceAccount
  name: {{ include "keda.account.name" (dict "root" . "account" "operator") }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/*
A binding. Takes root, kind, name, role (dict kind, name) and subjects (YAML), and as needed namespace and label.
*/}}
{{- define "keda.rbac.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- include "keda.metadata" (dict "root" .root "name" .name "label" .label "namespace" .namespace) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .role.kind }}
  name: {{ .role.name }}
subjects:
  {{- .subjects | nindent 2 }}
{{- end -}}
