//! What a service account's key signs: a statement about itself that is exchanged for a token (RFC 7523).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keda_scaler::identity::google::Key;
use keda_scaler::{Code, Kind, Secret};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::problem::{Class, Problem};

/// How long an assertion is valid: as long as Google allows.
const LIFETIME: i64 = 3600;

/// Clocks may differ by this much without anybody noticing.
const SKEW: i64 = 10;

/// The signed assertion (a JSON web token, RS256).
///
/// # Errors
/// The key is no RSA key.
pub(super) fn sign(key: &Key, scope: &str, now: Timestamp) -> Result<Secret, Problem> {
    let unusable = |why: &str| {
        let text = format!("the key of {} cannot sign: {why}", key.client_email);
        let advice = "make a new one: gcloud iam service-accounts keys create";
        Problem::new(Kind::Auth, Code::GoogleCredentials, Class::Local, text, advice)
    };
    let issued = now.as_second() - SKEW;
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
    let claims = json!({
        "iss": key.client_email,
        "scope": scope,
        "aud": key.token_uri,
        "iat": issued,
        "exp": issued + LIFETIME,
    });
    let part = |value: &str| BASE64_URL_SAFE_NO_PAD.encode(value);
    let statement = format!("{}.{}", part(&header.to_string()), part(&claims.to_string()));
    let der = PrivateKeyDer::from_pem_slice(key.private_key.expose().as_bytes())
        .map_err(|_| unusable("its private_key is no PEM private key"))?;
    let signing = any_supported_type(&der).map_err(|_| unusable("its private_key is not readable"))?;
    let signer = Arc::clone(&signing)
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or_else(|| unusable("its private_key is no RSA key"))?;
    let signature = signer.sign(statement.as_bytes()).map_err(|_| unusable("signing failed"))?;
    Ok(Secret::new(format!("{statement}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}
