//! Federated tokens: what they say about themselves, and the mounted ones.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keda_scaler::Secret;
use serde::Deserialize;

/// A file larger than this holds no token.
const LARGEST: u64 = 64 * 1024;

/// What a JSON web token says about itself. Not verified: it is our own, or was handed to us over a verified connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    pub(crate) expires: Option<Timestamp>,
    /// `oid`: the object id of the principal, in access tokens of Entra.
    pub(crate) object_id: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<i64>,
    oid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Claims {
    /// Reads a token's payload; `None` if the text is no JSON web token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.trim().split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let payload: Payload = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            issuer: payload.iss,
            subject: payload.sub,
            audience: match payload.aud {
                Audience::One(one) => one,
                Audience::Many(many) => many.join(", "),
            },
            expires: payload.exp.and_then(|second| Timestamp::from_second(second).ok()),
            object_id: payload.oid,
        })
    }
}

/// A mounted token. A projected volume is memory of the node, so reading it holds nothing up.
///
/// # Errors
/// Why there is no token in it, in words.
pub(crate) fn from_file(path: &Path) -> Result<(Secret, Claims), String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let claims = Claims::of(&text).ok_or_else(|| "it holds no JSON web token".to_owned())?;
    Ok((Secret::new(text.trim()), claims))
}
