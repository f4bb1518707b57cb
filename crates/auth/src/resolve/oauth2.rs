//! The `oauth2` source: what a trigger needs to ask for a token itself (core.md 6.2; upstream `resolveOAuth2`). The token is
//! asked for when the trigger's source is.

use keda_api::TriggerAuthenticationSpec;
use keda_api::trigger_authentication::OAuth2;
use keda_core::admission::authentication;
use keda_scaler::Secret;
use keda_scaler::http::query_escape;

use crate::Error;
use crate::stores::Ask;

/// The parameters `oauthTokenURI`, `clientID`, `clientSecret`, `scopes` and `endpointParams`, where they are given.
pub(super) async fn params(
    ask: &Ask<'_>,
    spec: &TriggerAuthenticationSpec,
    given: &OAuth2,
) -> Result<Vec<(String, Secret)>, Error> {
    let violations = authentication::check(spec);
    if let Some(violation) = violations.into_iter().find(|it| it.path.starts_with("spec.oauth2")) {
        return Err(Error::Identity { origin: ask.origin.clone(), text: violation.text });
    }
    let mut params = vec![
        ("oauthTokenURI".to_owned(), Secret::from(given.token_url.as_str())),
        ("clientID".to_owned(), Secret::from(given.client_id.as_str())),
    ];
    if let Some(secret) = &given.client_secret {
        params.push(("clientSecret".to_owned(), ask.secret("oauth2.clientSecret", secret).await?));
    }
    let scopes = given.scopes.as_deref().unwrap_or_default().join(",");
    if !scopes.is_empty() {
        params.push(("scopes".to_owned(), Secret::from(scopes)));
    }
    let pairs = given.token_url_params.iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", query_escape(name), query_escape(value))).collect();
    if !pairs.is_empty() {
        params.push(("endpointParams".to_owned(), Secret::from(pairs.join("&"))));
    }
    Ok(params)
}
