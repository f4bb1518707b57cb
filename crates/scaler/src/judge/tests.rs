//! What is certain of a trigger, and what depends on objects that nobody read.

use serde_json::json;

use super::*;
use crate::identity::Provider;
use crate::{Error, Factory, Family, Link, Measurement, Metric, Source, Trigger, TriggerConfig};
use std::sync::Arc;

#[derive(Debug, TriggerConfig)]
struct Config {
    /// A source.
    #[param(from(metadata, env))]
    address: String,
    /// A number.
    #[param(from(metadata), default = 10)]
    target: i64,
    /// A credential, or an identity.
    #[param(from(auth), optional)]
    token: Option<Secret>,
}

struct Guarded;

impl Trigger for Guarded {
    type Config = Config;
    type Source = Nothing;
    const TYPE: &'static str = "guarded";
    const LABEL: &'static str = "guardedScaler";

    fn validate(config: &Config, context: &Context) -> Result<(), String> {
        let azure = context.pod_identity.provider == Provider::AzureWorkload;
        match config.token.is_some() || azure {
            true => Ok(()),
            false => Err("no token given".to_owned()),
        }
    }

    fn plan(config: &Config, _: &Context) -> Result<Vec<Metric>, Error> {
        Ok(vec![Metric::new("guarded", config.target)])
    }

    async fn connect(_: Arc<Config>, _: Link) -> Result<Nothing, Error> {
        Ok(Nothing)
    }
}

struct Nothing;

impl Source for Nothing {
    async fn sample(&self, _: &Metric) -> Result<Measurement, Error> {
        Ok(0.0.into())
    }
}

static FAMILY: Family = Family { triggers: &[Factory::of::<Guarded>()] };

fn said(trigger: serde_json::Value, partial: bool) -> String {
    let trigger: ScaleTrigger = serde_json::from_value(trigger).unwrap();
    let registry = Registry::new(&[&FAMILY]);
    let given = Given { partial, ..Given::default() };
    let context = context(("ScaledObject", "shop", "web"), (0, &trigger), false);
    match judge(&registry, &trigger, given, &context, partial) {
        Outcome::Parsed(parsed) => {
            let notices = parsed.notices().iter().map(|notice| notice_text(&registry, &trigger, notice));
            format!("parsed {}", notices.collect::<Vec<_>>().join("; ")).trim_end().to_owned()
        }
        Outcome::Faults(faults) => faults.join("; "),
        Outcome::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn only_what_is_wrong_whatever_others_hold_is_wrong() {
    let auth = json!({"name": "token"});
    let no_token = "error parsing guarded metadata: no token given";
    let missing = "error parsing guarded metadata: missing required parameter \"address\" in [triggerMetadata resolvedEnv]";
    for (metadata, auth, partial, expected) in [
        (json!({"address": "x"}), None, false, no_token),
        // Nothing can come from an authentication that is not referred to.
        (json!({"address": "x"}), None, true, no_token),
        (json!({"address": "x"}), Some(&auth), true, "parsed"),
        (json!({"addressFromEnv": "ADDRESS"}), Some(&auth), true, "parsed"),
        (json!({}), Some(&auth), true, missing),
        (
            json!({"address": "x", "target": "many"}),
            Some(&auth),
            true,
            "error parsing guarded metadata: unable to set param \"target\" value \"many\": ",
        ),
        (
            json!({"address": "x", "adress": "y"}),
            Some(&auth),
            true,
            "parsed Unmatched input property adress in scaler guarded, did you mean \"address\"?",
        ),
    ] {
        let mut trigger = json!({"type": "guarded", "metadata": metadata});
        if let Some(auth) = auth {
            trigger["authenticationRef"] = auth.clone();
        }
        let said = said(trigger.clone(), partial);
        assert!(said.starts_with(expected), "{trigger}: {said}");
        assert!(expected.ends_with(' ') || said == expected, "{trigger}: {said}");
    }
    assert!(
        said(json!({"type": "none", "metadata": {}}), true).starts_with("no scaler found for type: none")
    );
}
