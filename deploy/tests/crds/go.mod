// Custom resource definitions of others whose objects the chart makes: they are read from these modules, nothing is built.
module keda-rs/deploy/tests/crds

go 1.24

require (
	github.com/cert-manager/cert-manager v1.18.2
	github.com/cilium/cilium v1.18.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
