//! Parameters of triggers: every type, any metadata.

use keda_scaler::{Context, Factory, Kind, Parameters, Secret, Secrets};

pub(crate) const WORDS: &[&str] = &[
    "\n",
    "=",
    "m0=",
    "m1=",
    "m2=",
    "m3=",
    "a4=",
    "a5=",
    "a6=",
    "e7=",
    "mserverAddress=",
    "mthreshold=",
    "mvalue=",
    "mstart=0 7 * * *",
    "mtimezone=UTC",
    "FromEnv",
    "true",
    "false",
    "1",
    "0",
    "-1",
    "1e400",
    "NaN",
    "5s",
    "10ms",
    "a=b,c=d",
    "bearer",
    "basic",
    "tls",
    "custom",
    "%",
    "\u{e9}",
    "Utilization",
    "http://a",
    "app in (a)",
];

/// What every credential begins with.
const SECRET: &str = "s3cr3t-";

/// The type, the metric type and the index; then a parameter a line: `m`, `a` or `e` for where it stands, its name (or the
/// number of a declared one), `=`, its value.
pub(crate) fn parse(data: &[u8]) {
    let (first, text) = super::choice(data);
    let factories = keda_scalers::factories();
    let factory = factories[usize::from(first) % factories.len()];
    let mut parameters = Parameters::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let mut chars = key.chars();
        let place = chars.next();
        let name = chars.as_str();
        let declared = name.parse::<usize>().ok().and_then(|number| factory.parameters().get(number));
        let name = declared.map_or(name, |parameter| parameter.name()).to_owned();
        match place {
            Some('a') => drop(parameters.auth.insert(name, Secret::new(format!("{SECRET}{value}")))),
            Some('e') => drop(parameters.env.insert(name, value.to_owned())),
            _ => drop(parameters.metadata.insert(name, value.to_owned())),
        }
    }
    check(&factory, &parameters, first);
}

/// A trigger with these metadata.
pub(crate) fn given(kind: &str, metadata: &[(&str, &str)]) {
    let registry = keda_scalers::registry();
    let factory = registry.get(kind).expect("a type");
    check(factory, &keda_scaler::contract::parameters(metadata, &[]), 0);
}

fn check(factory: &Factory, parameters: &Parameters, first: u8) {
    let metric_type =
        [None, Some("AverageValue"), Some("Value"), Some("Utilization")][usize::from(first >> 6)];
    let context = Context {
        index: usize::from(first),
        metric_type: metric_type.map(str::to_owned),
        as_metric_source: first & 32 != 0,
        ..Context::default()
    };
    let shown = match factory.parse(parameters, &context) {
        Ok(parsed) => {
            for spec in parsed.specs().iter().filter(|spec| spec.external_name().is_some()) {
                assert!(spec.name().starts_with(&format!("s{first}-")), "{}", spec.name());
                assert!(!spec.name().contains('/'), "{}", spec.name());
            }
            let values = serde_json::Value::Object(parsed.values(Secrets::Hidden));
            format!("{parsed:?} {values} {:?}", parsed.notices())
        }
        Err(error) => {
            assert!(error.kind != Kind::Panic, "{} of {parameters:?}", error);
            assert!(!error.message.is_empty());
            error.message
        }
    };
    // Credentials may only show where a parameter says that it is none.
    let all_secret = parameters.auth.keys().all(|name| {
        factory
            .parameters()
            .iter()
            .any(|declared| declared.secret() && declared.names.contains(&name.as_str()))
    });
    let elsewhere =
        parameters.metadata.values().chain(parameters.env.values()).any(|value| value.contains(SECRET));
    assert!(!all_secret || elsewhere || !shown.contains(SECRET), "a credential shows: {shown}");
}
