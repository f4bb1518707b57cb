//! What the token endpoints of OAuth 2.0 answer (RFC 6749, 5.1 and 5.2), whoever runs them.

use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::Secret;
use keda_scaler::http::{HeaderMap, Response, header};
use serde_json::Value;

/// Longest quotation of a server's words.
const QUOTED: usize = 300;

/// The longest wait that a server can ask for.
const LONGEST_WAIT: u64 = 3600;

/// Clocks that differ by more than this are said to.
const SKEW: i64 = 60;

/// A token, and for how long where the server says so.
pub(crate) struct Granted {
    pub(crate) token: Secret,
    pub(crate) lifetime: Option<Duration>,
}

/// The token in a good answer.
///
/// # Errors
/// What is missing, without any of the answer.
pub(crate) fn granted(response: &Response) -> Result<Granted, &'static str> {
    // serde_json's own text could quote the answer, which holds a token.
    let document: Value = serde_json::from_slice(&response.body).map_err(|_| "it is not what OAuth says")?;
    let token = document["access_token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err("access_token is empty");
    }
    let lifetime = match &document["expires_in"] {
        Value::Null => None,
        given => Some(seconds(given).ok_or("expires_in is no number of seconds")?),
    };
    Ok(Granted { token: Secret::new(token), lifetime: lifetime.filter(|lifetime| !lifetime.is_zero()) })
}

/// A number of seconds; some servers write it as a text.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.map(Duration::from_secs).or_else(|| Duration::try_from_secs_f64(value.as_f64()?).ok())
}

/// A refusal as the server puts it: the error's name, and what it says about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `invalid_grant`, `PERMISSION_DENIED`; empty where the answer has none.
    pub(crate) name: String,
    /// As it came: what of it may be shown is [`Refusal::shown`]'s to say.
    pub(crate) words: String,
}

impl Refusal {
    /// Reads OAuth's form, `{"error": "…", "error_description": "…"}`, and that of Google's APIs,
    /// `{"error": {"status": "…", "message": "…"}}`; of anything else the beginning.
    pub(crate) fn of(response: &Response) -> Self {
        let document: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, words) = match &document["error"] {
            Value::String(name) => (name.clone(), text(&document["error_description"])),
            Value::Object(error) => (
                error.get("status").map(text).unwrap_or_default(),
                error.get("message").map(text).unwrap_or_default(),
            ),
            _ => (String::new(), String::from_utf8_lossy(&response.body).into_owned()),
        };
        Self { name, words }
    }

    /// Name and words, without the secrets that the server repeats, on one line and not longer than one can read.
    pub(crate) fn shown(&self, secrets: &[&Secret]) -> String {
        let text = match (self.name.is_empty(), self.words.is_empty()) {
            (false, false) => format!("{}: {}", self.name, self.words),
            (false, true) => self.name.clone(),
            (true, _) => self.words.clone(),
        };
        // Not the other way round: half a secret would not be found any more.
        quoted(&hidden(text, secrets))
    }
}

/// The text without these secrets.
pub(crate) fn hidden(text: String, secrets: &[&Secret]) -> String {
    secrets.iter().fold(text, |text, secret| secret.hide_in(&text).unwrap_or(text))
}

/// The beginning of a text on one line.
pub(crate) fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// `Retry-After` in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// By how many seconds the server's clock and this one differ, where that is worth saying.
pub(crate) fn skew(response: &Response, now: Timestamp) -> Option<i64> {
    let date = response.headers.get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let apart = (theirs.as_second() - now.as_second()).abs();
    (apart > SKEW).then_some(apart)
}

#[cfg(test)]
mod tests {
    use keda_scaler::http::StatusCode;

    use super::*;

    fn answer(body: &str) -> Response {
        Response::new(StatusCode::OK, body.to_owned())
    }

    #[test]
    fn a_token_is_read_with_its_life() {
        for (body, lifetime) in [
            (r#"{"access_token":"t","expires_in":3599}"#, Some(3599)),
            (r#"{"access_token":"t","expires_in":"3599"}"#, Some(3599)),
            (r#"{"access_token":"t","expires_in":3599.0}"#, Some(3599)),
            (r#"{"access_token":"t","expires_in":0}"#, None),
            (r#"{"access_token":"t"}"#, None),
        ] {
            let granted = granted(&answer(body)).unwrap();
            assert_eq!(granted.lifetime, lifetime.map(Duration::from_secs), "{body}");
        }
        for (body, why) in [
            ("access_token=t", "it is not what OAuth says"),
            (r#"{"expires_in":1}"#, "access_token is empty"),
            (r#"{"access_token":"t","expires_in":"soon"}"#, "expires_in is no number of seconds"),
        ] {
            assert_eq!(granted(&answer(body)).err(), Some(why), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_read_in_every_form_and_repeats_no_secret() {
        let secret = Secret::new("s3cret-assertion");
        for (body, text) in [
            (
                r#"{"error":"invalid_grant","error_description":"Invalid\n s3cret-assertion"}"#,
                "invalid_grant: Invalid <hidden>",
            ),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Permission denied"}}"#,
                "PERMISSION_DENIED: Permission denied",
            ),
            (r#"{"error":"invalid_client"}"#, "invalid_client"),
            ("<html>Bad\nGateway</html>", "<html>Bad Gateway</html>"),
            (&format!("{} s3cret-assertion", "x".repeat(290)), &format!("{} <hidden>", "x".repeat(290))),
            ("", ""),
        ] {
            assert_eq!(Refusal::of(&answer(body)).shown(&[&secret]), text, "{body}");
        }
    }
}
