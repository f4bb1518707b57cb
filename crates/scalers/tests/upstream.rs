//! Our schema against upstream's, entry by entry: every difference has a name and a reason.

#![expect(clippy::unwrap_used, reason = "these are tests")]
#![expect(clippy::print_stdout, reason = "what was compared, and why not")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keda_scalers::schema::Document;
use serde_json::{Map, Value};

/// Parameters that differ: trigger, parameter, what differs, why. `*` stands for every one.
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    ("*", "*", "description", "upstream's schema has no texts"),
    ("*", "*", "aliases", "upstream's schema has first names only"),
    ("cpu", "type", "deprecated", "the same in other words"),
    ("memory", "type", "deprecated", "the same in other words"),
    ("prometheus", "metricName", "ours only", "old manifests carry it: its presence is announced"),
    ("prometheus", "authModes", "ours only", "upstream's schema leaves nested groups out"),
    ("prometheus", "bearerToken", "ours only", "nested group"),
    ("prometheus", "username", "ours only", "nested group"),
    ("prometheus", "password", "ours only", "nested group"),
    ("prometheus", "cert", "ours only", "nested group"),
    ("prometheus", "key", "ours only", "nested group"),
    ("prometheus", "ca", "ours only", "nested group"),
    ("prometheus", "customAuthHeader", "ours only", "nested group"),
    ("prometheus", "customAuthValue", "ours only", "nested group"),
    ("prometheus", "apiKey", "ours only", "nested group"),
    ("prometheus", "method", "ours only", "nested group"),
    ("prometheus", "keyParamName", "ours only", "nested group"),
    ("prometheus", "oauthTokenURI", "ours only", "nested group"),
    ("prometheus", "scopes", "ours only", "nested group"),
    ("prometheus", "clientID", "ours only", "nested group"),
    ("prometheus", "clientSecret", "ours only", "nested group"),
    ("prometheus", "endpointParams", "ours only", "nested group"),
    ("prometheus", "cloud", "ours only", "read by hand upstream, outside of the declaration"),
    ("prometheus", "azureManagedPrometheusResourceURL", "ours only", "read by hand upstream"),
    ("prometheus", "awsRoleArn", "ours only", "read by hand upstream, outside of the declaration"),
    ("prometheus", "awsAccessKeyID", "ours only", "read by hand upstream"),
    ("prometheus", "awsSessionToken", "ours only", "read by hand upstream"),
    ("prometheus", "awsSecretAccessKey", "ours only", "read by hand upstream"),
    ("prometheus", "GoogleApplicationCredentials", "ours only", "read by hand upstream"),
    ("prometheus", "credentials", "ours only", "read by hand upstream"),
    ("prometheus", "credentialsFromEnvFile", "ours only", "read by hand upstream"),
];

/// Parameters by name.
type Parameters = BTreeMap<String, Map<String, Value>>;

/// Upstream's entries by type, or `None` with a word about why.
fn upstream() -> Option<BTreeMap<String, Parameters>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/scalers-schema.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: upstream's schema is not there ({})", path.display());
        return None;
    };
    Some(by_type(&serde_saphyr::from_str(&text).unwrap()))
}

fn by_type(document: &Value) -> BTreeMap<String, Parameters> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let scalers = document["scalers"].as_array().unwrap().iter();
    scalers
        .map(|scaler| {
            let parameters = scaler["parameters"].as_array().into_iter().flatten();
            let parameters = parameters
                .map(|parameter| (text(&parameter["name"]), parameter.as_object().unwrap().clone()))
                .collect();
            (text(&scaler["type"]), parameters)
        })
        .collect()
}

#[test]
fn differences_to_upstreams_schema_have_names() {
    let Some(theirs) = upstream() else { return };
    let ours = by_type(&serde_json::to_value(Document::of(&keda_scalers::factories())).unwrap());
    let mut unnamed = Vec::new();
    let mut used = BTreeSet::new();
    let mut compared = 0;
    for (kind, ours) in &ours {
        let theirs = theirs.get(kind).unwrap_or_else(|| panic!("upstream has no trigger {kind}"));
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            compared += 1;
            for (what, detail) in differences(ours.get(name), theirs.get(name)) {
                let named = DIFFERENCES.iter().position(|(of, parameter, difference, _)| {
                    (*of == "*" || of == kind)
                        && (*parameter == "*" || parameter == name)
                        && *difference == what
                });
                match named {
                    Some(row) => {
                        used.insert(row);
                    }
                    None => unnamed.push(format!("{kind}.{name}: {what}: {detail}")),
                }
            }
        }
    }
    println!("{compared} parameters of {} triggers compared, {} differences named", ours.len(), used.len());
    assert!(unnamed.is_empty(), "\n{}", unnamed.join("\n"));
    let idle: Vec<_> =
        (0..DIFFERENCES.len()).filter(|row| DIFFERENCES[*row].0 != "*" && !used.contains(row)).collect();
    assert!(
        idle.is_empty(),
        "no difference any more: {:?}",
        idle.iter().map(|row| DIFFERENCES[*row]).collect::<Vec<_>>()
    );
}

/// Names of what differs between two entries, with the values.
fn differences(
    ours: Option<&Map<String, Value>>,
    theirs: Option<&Map<String, Value>>,
) -> Vec<(String, String)> {
    match (ours, theirs) {
        (Some(_), None) => vec![("ours only".to_owned(), String::new())],
        (None, Some(_)) => vec![("upstream's only".to_owned(), String::new())],
        (Some(ours), Some(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            keys.into_iter()
                .filter(|key| ours.get(*key) != theirs.get(*key))
                .map(|key| {
                    (key.clone(), format!("ours {:?}, upstream's {:?}", ours.get(key), theirs.get(key)))
                })
                .collect()
        }
        (None, None) => Vec::new(),
    }
}
