use super::*;

fn read(variables: &[(&str, &str)]) -> Result<(Settings, Vec<String>), Problem> {
    let env =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Settings::read(env, Vec::new())
}

fn endpoint(variables: &[(&str, &str)]) -> String {
    read(variables).unwrap().0.endpoint.to_string()
}

#[test]
fn addresses_by_protocol() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for (variables, expected) in [
        (&[][..], "https://localhost:4318/v1/metrics"),
        (&[GRPC][..], "https://localhost:4317/"),
        (&[(ALL, "http://otel:4318")], "http://otel:4318/v1/metrics"),
        (&[(ALL, "http://otel:4318/base/")], "http://otel:4318/base/v1/metrics"),
        (&[(OWN, "http://otel:4318")], "http://otel:4318/"),
        (&[(ALL, "http://a:1"), (OWN, "http://b:2/x?y=z")], "http://b:2/x?y=z"),
        (&[GRPC, (ALL, "http://otel:4317")], "http://otel:4317/"),
        (&[GRPC, (ALL, "otel:4317")], "https://otel:4317/"),
        (&[GRPC, (ALL, "otel:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://otel:4317/"),
        // Upstream reads one variable and one word.
        (&[("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")], "https://localhost:4318/v1/metrics"),
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], "https://localhost:4318/v1/metrics"),
    ] {
        assert_eq!(endpoint(variables), expected, "{variables:?}");
    }
}

#[test]
fn times_temporality_and_resource() {
    let (settings, notices) = read(&[]).unwrap();
    let seconds = [settings.timeout, settings.interval, settings.patience].map(|it| it.as_secs());
    assert_eq!((seconds, settings.delta, notices.len()), ([10, 60, 30], false, 0));
    assert_eq!(settings.resource[0], ("service.name".to_owned(), "unknown_service:keda".to_owned()));
    let (settings, notices) = read(&[
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, k8s.namespace.name=keda%20x"),
        ("OTEL_SERVICE_NAME", "keda-operator"),
    ])
    .unwrap();
    assert_eq!((settings.interval.as_millis(), settings.timeout.as_millis()), (500, 2));
    assert!(settings.delta);
    assert_eq!(notices.len(), 1, "{notices:?}");
    let value = |key: &str| settings.resource.iter().find(|(known, _)| known == key).unwrap().1.as_str();
    assert_eq!((value("service.name"), value("k8s.namespace.name")), ("keda-operator", "keda x"));
}

#[test]
fn mistakes_name_the_variable_and_no_secret() {
    for (variable, value, says) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://otel", "neither http nor https"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:s3cr3t@otel:4318", "credentials"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization", "no list of name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cr3t%0A", "no list of name=value"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m", "milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "key=value"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key", "is needed"),
    ] {
        let problem = read(&[(variable, value)]).unwrap_err().to_string();
        assert!(problem.contains(says) && !problem.contains("s3cr3t"), "{problem}");
        assert!(problem.starts_with("OTEL_"), "{problem}");
    }
    let (settings, _) = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cr3t")]).unwrap();
    assert_eq!(settings.headers[0].1, "Bearer s3cr3t");
    assert!(!format!("{settings:?}").contains("s3cr3t"), "{settings:?}");
}
