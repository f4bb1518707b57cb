//! A container's environment as its pod template declares it (core.md 6.4; upstream `ResolveContainerEnv`): the
//! declaration is read, never the live process.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, PodTemplateSpec};
use keda_scaler::kube::Reader;

use crate::{Error, ReadKey};

/// The variables of a container of the template: `container` by name, else the first. A template without containers
/// has no variables. Variables from the pod's own fields (`fieldRef`, `resourceFieldRef`) are known only to the pod
/// and are left out; a key that an existing object lacks is an empty variable.
///
/// # Errors
///
/// When the container, or an object that is not optional, does not exist or cannot be read.
pub async fn container_env(
    template: &PodTemplateSpec,
    container_name: Option<&str>,
    namespace: &str,
    reader: &dyn Reader,
) -> Result<BTreeMap<String, String>, Error> {
    match container(template, container_name)? {
        Some(container) => variables(container, namespace, reader).await,
        None => Ok(BTreeMap::new()),
    }
}

/// The container by name, else the first; `None` for a template that has no containers.
pub(crate) fn container<'a>(
    template: &'a PodTemplateSpec,
    name: Option<&str>,
) -> Result<Option<&'a Container>, Error> {
    let containers = template.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    match name.filter(|name| !name.is_empty()) {
        Some(name) if !containers.is_empty() => {
            let found = containers.iter().find(|container| container.name == name);
            found.map(Some).ok_or_else(|| Error::NoContainer(name.to_owned()))
        }
        _ => Ok(containers.first()),
    }
}

/// `envFrom` in order, then `env` in order; a later variable replaces an earlier one of its name.
pub(crate) async fn variables(
    container: &Container,
    namespace: &str,
    reader: &dyn Reader,
) -> Result<BTreeMap<String, String>, Error> {
    let mut variables = BTreeMap::new();
    let readable = reader.may_read_secrets(namespace);
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let missing = |object| Error::MissingEnvFrom { container: container.name.clone(), object };
        if let Some(from) = &source.config_map_ref {
            let object = ReadKey::config_map(namespace, &from.name);
            match reader.config_map(namespace, &from.name).await {
                Ok(Some(data)) => {
                    variables.extend(data.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
                }
                _ if from.optional == Some(true) => {}
                Ok(None) => return Err(missing(object)),
                Err(cause) => return Err(Error::Read { object, cause }),
            }
        } else if let Some(from) = source.secret_ref.as_ref().filter(|_| readable) {
            let object = ReadKey::secret(namespace, &from.name);
            match reader.secret(namespace, &from.name).await {
                Ok(Some(data)) => {
                    for (key, value) in data {
                        let value = text(value, &key, &object)?;
                        variables.insert(format!("{prefix}{key}"), value);
                    }
                }
                _ if from.optional == Some(true) => {}
                Ok(None) => return Err(missing(object)),
                Err(cause) => return Err(Error::Read { object, cause }),
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let literal = variable.value.as_deref().unwrap_or_default();
        let value = match &variable.value_from {
            _ if !literal.is_empty() => Some(expand(literal, &variables)),
            None => Some(String::new()),
            Some(source) => referenced(&variable.name, source, namespace, reader).await?,
        };
        if let Some(value) = value {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

/// The value a variable takes from an object; `None` when it stays unset.
async fn referenced(
    variable: &str,
    source: &EnvVarSource,
    namespace: &str,
    reader: &dyn Reader,
) -> Result<Option<String>, Error> {
    let missing = |key: &str, object| Error::MissingObject {
        what: format!("environment variable \"{variable}\""),
        key: key.to_owned(),
        object,
    };
    if let Some(from) = &source.secret_key_ref {
        // Restricted secret access: unset, as upstream.
        if !reader.may_read_secrets(namespace) {
            return Ok(None);
        }
        let object = ReadKey::secret(namespace, &from.name);
        return match reader.secret(namespace, &from.name).await {
            Ok(Some(mut data)) => data
                .remove(&from.key)
                .map_or(Ok(String::new()), |value| text(value, &from.key, &object))
                .map(Some),
            _ if from.optional == Some(true) => Ok(None),
            Ok(None) => Err(missing(&from.key, object)),
            Err(cause) => Err(Error::Read { object, cause }),
        };
    }
    if let Some(from) = &source.config_map_key_ref {
        let object = ReadKey::config_map(namespace, &from.name);
        return match reader.config_map(namespace, &from.name).await {
            Ok(Some(mut data)) => Ok(Some(data.remove(&from.key).unwrap_or_default())),
            _ if from.optional == Some(true) => Ok(None),
            Ok(None) => Err(missing(&from.key, object)),
            Err(cause) => Err(Error::Read { object, cause }),
        };
    }
    Ok(None)
}

fn text(value: Vec<u8>, key: &str, object: &ReadKey) -> Result<String, Error> {
    String::from_utf8(value).map_err(|_| Error::NotText { key: key.to_owned(), object: object.clone() })
}

/// Expands `$(NAME)` by what is known so far and `$$` to `$`. Unknown and unterminated references stay as written, and
/// so does everything in the last three bytes, where no reference fits: upstream does not scan them, which keeps a
/// trailing `$$` double.
fn expand(literal: &str, known: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let reference = &rest[at..];
        if reference.len() <= 3 {
            rest = reference;
            break;
        }
        let (value, length) = if reference.starts_with("$$") {
            ("$", 2)
        } else if let Some((name, _)) = reference.strip_prefix("$(").and_then(|inner| inner.split_once(')')) {
            let length = name.len() + "$()".len();
            (known.get(name).map_or(&reference[..length], String::as_str), length)
        } else {
            ("$", 1)
        };
        expanded.push_str(value);
        rest = &reference[length..];
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::Memory;

    fn template(containers: &serde_json::Value) -> PodTemplateSpec {
        serde_json::from_value(json!({ "spec": { "containers": containers } })).expect("a valid pod template")
    }

    async fn env(cluster: &Memory, container: serde_json::Value) -> Result<BTreeMap<String, String>, Error> {
        container_env(&template(&json!([container])), None, "ns", cluster).await
    }

    #[test]
    fn references_are_expanded_by_what_is_known() {
        let known =
            BTreeMap::from([("HOST".to_owned(), "db".to_owned()), ("EMPTY".to_owned(), String::new())]);
        for (literal, expected) in [
            ("plain", "plain"),
            ("$(HOST):5432", "db:5432"),
            ("http://$(HOST)", "http://db"),
            ("$(HOST)$(HOST)", "dbdb"),
            ("a$(EMPTY)b", "ab"),
            ("$(UNKNOWN)/x", "$(UNKNOWN)/x"),
            ("$$(HOST)", "$(HOST)"),
            ("$$$(HOST)", "$db"),
            ("$(HOST", "$(HOST"),
            ("$HOST and $(HOST)", "$HOST and db"),
            ("costs 5$", "costs 5$"),
            ("a$$bc", "a$bc"),
            // The last three bytes are not scanned.
            ("a$$b", "a$$b"),
            ("$$", "$$"),
            ("ü$(HOST)ü", "üdbü"),
            ("", ""),
        ] {
            assert_eq!(expand(literal, &known), expected, "{literal}");
        }
    }

    #[tokio::test]
    async fn restricted_secret_access_leaves_variables_from_secrets_unset() {
        let mut cluster = Memory::default().secret("ns/credentials", &[("USER", b"me")]);
        cluster.restricted = true;
        cluster.secrets_fail = Some(keda_scaler::kube::ReadError::permanent("was read all the same"));
        let container = json!({ "name": "main",
            "envFrom": [{ "secretRef": { "name": "credentials" } }],
            "env": [
                { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "credentials", "key": "USER" } } },
                { "name": "HOST", "value": "db" },
            ] });
        let variables = env(&cluster, container).await.unwrap();
        assert_eq!(variables.keys().map(String::as_str).collect::<Vec<_>>(), ["HOST"]);
    }

    #[tokio::test]
    async fn sources_come_in_order_and_later_ones_win() {
        let cluster = Memory::default()
            .config_map("ns/settings", &[("HOST", "db"), ("PORT", "1")])
            .secret("ns/credentials", &[("USER", b"me"), ("PORT", b"2")]);
        let container = json!({ "name": "main",
            "envFrom": [
                { "configMapRef": { "name": "settings" } },
                { "secretRef": { "name": "credentials" }, "prefix": "DB_" },
                { "configMapRef": { "name": "absent", "optional": true } },
                { "secretRef": { "name": "absent", "optional": true } },
            ],
            "env": [
                { "name": "PORT", "value": "3" },
                { "name": "URL", "value": "$(HOST):$(PORT) $(LATER)" },
                { "name": "LATER", "value": "x" },
                { "name": "USER", "valueFrom": { "secretKeyRef": { "name": "credentials", "key": "USER" } } },
                { "name": "SETTING", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "HOST" } } },
                { "name": "NO_KEY", "valueFrom": { "secretKeyRef": { "name": "credentials", "key": "absent" } } },
                { "name": "OPTIONAL", "valueFrom":
                    { "secretKeyRef": { "name": "absent", "key": "k", "optional": true } } },
                { "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                { "name": "NOTHING" },
            ] });
        let expected = [
            ("DB_PORT", "2"),
            ("DB_USER", "me"),
            ("HOST", "db"),
            ("LATER", "x"),
            ("NOTHING", ""),
            ("NO_KEY", ""),
            ("PORT", "3"),
            ("SETTING", "db"),
            ("URL", "db:3 $(LATER)"),
            ("USER", "me"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(env(&cluster, container).await.expect("resolves"), BTreeMap::from(expected));
    }

    #[tokio::test]
    async fn what_is_missing_and_not_optional_is_named() {
        let cluster = Memory::default();
        let key = json!({ "name": "main", "env": [
            { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "db", "key": "token" } } } ] });
        assert_eq!(
            env(&cluster, key).await.expect_err("the Secret is missing").to_string(),
            "environment variable \"TOKEN\" is read from key \"token\" of Secret ns/db, which does not exist"
        );
        let all = json!({ "name": "main", "envFrom": [{ "configMapRef": { "name": "settings" } }] });
        assert_eq!(
            env(&cluster, all).await.expect_err("the ConfigMap is missing").to_string(),
            "envFrom of container \"main\" names ConfigMap ns/settings, which does not exist"
        );
    }

    #[tokio::test]
    async fn a_container_is_found_by_name_or_is_the_first() {
        let cluster = Memory::default();
        let containers = json!([
            { "name": "first", "env": [{ "name": "WHO", "value": "first" }] },
            { "name": "second", "env": [{ "name": "WHO", "value": "second" }] },
        ]);
        let template = template(&containers);
        for (wanted, expected) in [(None, "first"), (Some(""), "first"), (Some("second"), "second")] {
            let env = container_env(&template, wanted, "ns", &cluster).await.expect("resolves");
            assert_eq!(env["WHO"], expected);
        }
        let absent = container_env(&template, Some("third"), "ns", &cluster).await;
        assert_eq!(
            absent.expect_err("no such container").to_string(),
            "couldn't find container with name third on Target object"
        );
        let none = container_env(&PodTemplateSpec::default(), Some("any"), "ns", &cluster).await;
        assert!(none.expect("no containers, no variables").is_empty());
    }
}
