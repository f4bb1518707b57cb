//! AWS Secrets Manager (auth.md §6.4).

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use jiff::Timestamp;
use keda_api::TriggerAuthenticationSpec;
use keda_api::trigger_authentication::AwsSecretManager;
use keda_scaler::aws::{
    self, Answered, Asked, Credentials, Defaults, Identity, Keys, Role, Service, Who, refusal,
};
use keda_scaler::http::{Request, Response};
use keda_scaler::identity::Provider;
use keda_scaler::{Code, Error as StoreError, Kind, Secret};
use serde_json::{Map, Value};

use super::{Access, Ask, Values};
use crate::{Error, identity};

const GET_SECRET_VALUE: &str = "secretsmanager.GetSecretValue";

/// What a TriggerAuthentication asks of a store.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    service: Service,
    secrets: Vec<Wanted>,
}

/// One parameter.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    parameter: String,
    version: Version,
    /// The key in a secret that is a JSON object.
    key: Option<String>,
}

/// A secret's version: what one call asks for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Version {
    name: String,
    id: Option<String>,
    stage: Option<String>,
}

/// Reads the credentials from their Secrets, or whose identity it is.
///
/// # Errors
/// There are none, or what names them is not there.
pub(super) async fn prepare(given: &AwsSecretManager, ask: &Ask<'_>) -> Result<Query, Error> {
    let region = text(given.region.as_ref());
    let who = who(given, ask).await?;
    let identity = Identity { who, region: region.clone() };
    let secrets = given.secrets.iter().map(|secret| Wanted {
        parameter: secret.parameter.clone(),
        version: Version {
            name: secret.name.trim().to_owned(),
            id: text(secret.version_id.as_ref()),
            stage: text(secret.version_stage.as_ref()),
        },
        key: text(secret.secret_key.as_ref()),
    });
    Ok(Query {
        service: Service { signing_name: "secretsmanager", identity, region },
        secrets: secrets.collect(),
    })
}

/// The identity's role, else the keys: a `podIdentity` other than `none` comes first, as upstream.
async fn who(given: &AwsSecretManager, ask: &Ask<'_>) -> Result<Who, Error> {
    let refused = |text: String| Error::Identity { origin: ask.origin.clone(), text };
    let spec = TriggerAuthenticationSpec { pod_identity: given.pod_identity.clone(), ..Default::default() };
    let identity = identity::of(ask.origin, &spec, ask.scope, ask.reader).await?;
    match (&identity.provider, &given.credentials) {
        (Provider::Aws, _) => Ok(match identity.role_arn {
            Some(arn) => Who::Role(Role {
                arn,
                external_id: identity.external_id,
                web_identity: true,
                tenant: (!identity.by_cluster).then(|| ask.scope.namespace.clone()),
            }),
            None => Who::Operator,
        }),
        (Provider::None, Some(credentials)) => {
            let secret = ask.secret("credentials.accessSecretKey", &credentials.access_secret_key).await?;
            let id = ask.secret("credentials.accessKey", &credentials.access_key).await?;
            let token = match &credentials.access_token {
                Some(token) => Some(ask.secret("credentials.accessToken", token).await?),
                None => None,
            };
            let trimmed = |secret: &Secret| Secret::from(secret.expose().trim());
            let session_token = token.as_ref().map(trimmed).filter(|token| !token.is_empty());
            Ok(Who::Keys(Keys { id: id.expose().trim().to_owned(), secret: trimmed(&secret), session_token }))
        }
        (Provider::None, None) => Err(refused(
            "awsSecretManager has neither credentials nor a podIdentity: set credentials.accessKey and \
             credentials.accessSecretKey, or podIdentity.provider: aws"
                .to_owned(),
        )),
        (_, _) => {
            let provider = identity.provider().unwrap_or_default();
            Err(refused(format!("awsSecretManager takes podIdentity provider aws only, not {provider}")))
        }
    }
}

fn text(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Asks for each version once.
pub(super) async fn fetch(query: &Query, access: &Access) -> Result<Values, StoreError> {
    let mut versions: Vec<(&Version, String)> = Vec::new();
    let mut values = Values::new();
    for wanted in &query.secrets {
        let known = versions.iter().position(|(version, _)| **version == wanted.version);
        let at = match known {
            Some(at) => at,
            None => {
                versions.push((&wanted.version, get(&query.service, &wanted.version, access).await?));
                versions.len() - 1
            }
        };
        let (version, whole) = &versions[at];
        let value = match &wanted.key {
            None => whole.clone(),
            Some(key) => part(version, whole, key)?,
        };
        values.push((wanted.parameter.clone(), Secret::new(value)));
    }
    Ok(values)
}

async fn get(service: &Service, version: &Version, access: &Access) -> Result<String, StoreError> {
    let mut body = Map::new();
    body.insert("SecretId".to_owned(), version.name.clone().into());
    for (name, value) in [("VersionId", &version.id), ("VersionStage", &version.stage)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.clone().into());
        }
    }
    let world = World { access };
    let answered = service.json(&world, None, GET_SECRET_VALUE, &Value::Object(body)).await?;
    if let Some(error) = refused(version, &answered) {
        return Err(error);
    }
    // serde_json's own text could quote the secret.
    let answer: Value = serde_json::from_slice(&answered.response.body)
        .map_err(|_| unusable(version, "the answer is not the JSON that it should be"))?;
    match &answer["SecretString"] {
        Value::String(text) => Ok(text.clone()),
        _ => Err(unusable(version, "is binary: only secrets that are text can be parameters")),
    }
}

fn refused(version: &Version, answered: &Answered) -> Option<StoreError> {
    let Answered { response, credentials, region, .. } = answered;
    let refusal = refusal(response)?;
    let name = &version.name;
    let resource = match name.starts_with("arn:") {
        true => name.clone(),
        false => format!("arn:aws:secretsmanager:{region}:*:secret:{name}-??????"),
    };
    let permission = "secretsmanager:GetSecretValue";
    let asked = Asked { permission, resource: &resource, credentials, region };
    let what = format!("secret {name:?}");
    Some(refusal.error(&what, &asked).unwrap_or_else(|| {
        let text = format!("{what}: {} (region {region})", refusal.words(credentials));
        StoreError::coded(Kind::Source(refusal.status), Code::AwsSecret, text, "")
    }))
}

/// The text under a key of a secret that is a JSON object.
fn part(version: &Version, whole: &str, key: &str) -> Result<String, StoreError> {
    let object: Map<String, Value> = serde_json::from_str(whole).map_err(|_| {
        unusable(version, &format!("is not a JSON object, in which secretKey {key:?} could be"))
    })?;
    match object.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(unusable(version, &format!("has no text under key {key:?}"))),
        None => Err(unusable(version, &format!("has no key {key:?}"))),
    }
}

fn unusable(version: &Version, why: &str) -> StoreError {
    StoreError::coded(Kind::Answer, Code::AwsSecret, format!("secret {:?} {why}", version.name), "")
}

/// What the calls reach the world through.
struct World<'a> {
    access: &'a Access,
}

#[async_trait]
impl aws::Access for World<'_> {
    async fn credentials(&self, identity: &Identity) -> Result<Credentials, StoreError> {
        if let Who::Keys(keys) = &identity.who {
            return Ok(Credentials::of(keys));
        }
        self.access.tokens.aws().ok_or_else(aws::unavailable)?.credentials(identity).await
    }

    async fn renewed(
        &self,
        identity: &Identity,
        refused: &Credentials,
    ) -> Result<Option<Credentials>, StoreError> {
        self.access.tokens.aws().ok_or_else(aws::unavailable)?.renew(identity, refused).await
    }

    async fn send(&self, request: Request) -> Result<Response, StoreError> {
        self.access.http.send(request).await.map_err(|error| {
            let error = StoreError::from(error);
            StoreError::coded(error.kind, Code::AwsUnreachable, error.message, "")
        })
    }

    fn defaults(&self) -> Defaults {
        self.access.tokens.aws().map(|provider| provider.defaults().clone()).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        self.access.clock.now()
    }
}
