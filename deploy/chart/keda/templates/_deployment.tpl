{{/*
One Deployment. Takes root and component (a key of keda.components). What differs between the three comes from the named
templates keda.<component>.args, .env, .ports, .probe, .labels and .volumes.
*/}}

{{- define "keda.image" -}}
{{- $image := index .root.Values.image .key -}}
{{- $registry := (.root.Values.global.image).registry | default $image.registry -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion | toString -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag -}}
{{- end -}}

{{/* The part of a section that is a component's, or the section itself where it is not divided. Takes section and key. */}}
{{- define "keda.part" -}}
{{- $section := .section | default dict -}}
{{- toYaml (index $section .key | default (omit $section "operator" "metricServer" "webhooks")) -}}
{{- end -}}

{{- define "keda.env.tls" -}}
- name: KEDA_SERVICE_MIN_TLS_VERSION
  value: {{ .Values.service.minTlsVersion | quote }}
- name: KEDA_SERVICE_TLS_CIPHER_LIST
  value: {{ .Values.service.tlsCipherList | quote }}
{{- end -}}

{{- define "keda.env.http" -}}
- name: KEDA_HTTP_DEFAULT_TIMEOUT
  value: {{ .Values.http.timeout | toString | quote }}
- name: KEDA_HTTP_MIN_TLS_VERSION
  value: {{ .Values.http.minTlsVersion | quote }}
- name: KEDA_HTTP_TLS_CIPHER_LIST
  value: {{ .Values.http.tlsCipherList | quote }}
{{- if not .Values.http.keepAlive.enabled }}
- name: KEDA_HTTP_DISABLE_KEEP_ALIVE
  value: "true"
{{- end }}
{{- end -}}

{{- define "keda.env.pod" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{- define "keda.deployment" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $it := index (include "keda.components" .root | fromYaml) .component -}}
{{- $settings := index $values $it.settings -}}
{{- $pod := index ($values.podLabels | default dict) $it.pod | default dict -}}
{{- $annotations := index ($values.podAnnotations | default dict) $it.pod | default dict -}}
{{- $volumes := index ($values.volumes | default dict) $it.volumes | default dict -}}
{{- $account := include "keda.account" (dict "root" $root "account" $it.account) | fromYaml -}}
{{- $own := include (printf "keda.%s.labels" .component) $root | fromYaml -}}
{{- $component := .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "keda.metadata" (dict "root" $root "name" $it.name "label" $it.app "namespace" $root.Release.Namespace "labels" $own) | nindent 2 }}
spec:
  revisionHistoryLimit: {{ $settings.revisionHistoryLimit }}
  replicas: {{ $settings.replicaCount }}
  {{- with index ($values.upgradeStrategy | default dict) $it.strategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      app: {{ $it.app }}
  template:
    metadata:
      labels:
        {{- $labels := include "keda.labels" (dict "root" $root "name" $it.app) | fromYaml }}
        {{- include "keda.strings" (mergeOverwrite $labels $own $pod (include (printf "keda.%s.podLabels" $component) $root | fromYaml)) | nindent 8 }}
      {{- with mergeOverwrite (deepCopy ($values.additionalAnnotations | default dict)) (include (printf "keda.%s.podAnnotations" $component) $root | fromYaml) $annotations }}
      annotations:
        {{- include "keda.strings" . | nindent 8 }}
      {{- end }}
    spec:
      enableServiceLinks: {{ $values.enableServiceLinks }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with $values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      serviceAccountName: {{ $account.name }}
      automountServiceAccountToken: {{ $account.automount }}
      securityContext:
        {{- include "keda.part" (dict "section" $values.podSecurityContext "key" $it.security) | nindent 8 }}
      {{- with $settings.extraInitContainers }}
      initContainers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $it.app }}
          image: {{ include "keda.image" (dict "root" $root "key" $it.image) | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          command: [{{ $it.command }}]
          args:
            {{- include (printf "keda.%s.args" $component) $root | nindent 12 }}
            {{- range $flag, $value := index ($values.extraArgs | default dict) $it.extraArgs }}
            - {{ printf "--%s=%v" $flag $value | quote }}
            {{- end }}
          env:
            {{- include (printf "keda.%s.env" $component) $root | nindent 12 }}
            {{- with $values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- include (printf "keda.%s.ports" $component) $root | nindent 12 }}
          livenessProbe:
            httpGet:
              path: /healthz
              {{- include (printf "keda.%s.probe" $component) $root | nindent 14 }}
            {{- toYaml $settings.livenessProbe | nindent 12 }}
          readinessProbe:
            httpGet:
              path: /readyz
              {{- include (printf "keda.%s.probe" $component) $root | nindent 14 }}
            {{- toYaml $settings.readinessProbe | nindent 12 }}
          resources:
            {{- include "keda.part" (dict "section" $values.resources "key" $it.resources) | nindent 12 }}
          securityContext:
            {{- include "keda.part" (dict "section" $values.securityContext "key" $it.security) | nindent 12 }}
          volumeMounts:
            - name: certificates
              mountPath: {{ $values.certificates.mountPath }}
              readOnly: true
            {{- with include (printf "keda.%s.mounts" $component) $root | trim }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with $volumes.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
        {{- with $settings.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        - name: certificates
          secret:
            secretName: {{ $values.certificates.secretName }}
            defaultMode: 420
            {{- /* The operator makes the Secret: it must not wait for it. The others do. */}}
            {{- if eq $component "operator" }}
            optional: {{ eq (include "keda.rotates" $root) "true" }}
            {{- end }}
        {{- with include (printf "keda.%s.volumes" $component) $root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $volumes.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      nodeSelector:
        {{- $node := dict "kubernetes.io/os" "linux" }}
        {{- if and (eq $component "operator") $values.podIdentity.gcp.enabled }}
        {{- $_ := set $node "iam.gke.io/gke-metadata-server-enabled" "true" }}
        {{- end }}
        {{- include "keda.strings" (mergeOverwrite $node ($settings.nodeSelector | default $values.nodeSelector | default dict)) | nindent 8 }}
      {{- with $settings.affinity | default $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with index ($values.topologySpreadConstraints | default dict) $it.spread }}
      topologySpreadConstraints:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.tolerations | default $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.dnsConfig | default $values.global.dnsConfig }}
      dnsConfig:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.dnsPolicy }}
      dnsPolicy: {{ . }}
      {{- end }}
      hostNetwork: {{ $settings.useHostNetwork }}
      {{- if not (kindIs "invalid" $settings.hostUsers) }}
      hostUsers: {{ $settings.hostUsers }}
      {{- end }}
      {{- if eq $component "operator" }}
      {{- with $values.hostAliases }}
      hostAliases:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
{{- end -}}
