//! A service's refusal: its code and its words, whatever protocol it speaks, and what they mean here.

use serde_json::Value;

use super::Credentials;
use crate::http::Response;
use crate::{Code, Error, Kind};

/// Longest quotation of a service's words.
const QUOTED: usize = 300;

/// What a service said instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The service's code, such as `AccessDenied`; empty where it has none.
    pub code: String,
    /// Its words, on one line and not longer than a few hundred characters. They may repeat what was sent.
    pub message: String,
}

/// The refusal in an answer; `None` if it is none.
pub fn refusal(response: &Response) -> Option<Refusal> {
    if response.status.is_success() {
        return None;
    }
    let body = String::from_utf8_lossy(&response.body);
    let (mut code, message) = match serde_json::from_str::<Value>(&body) {
        Ok(json) => {
            let text = |names: &[&str]| {
                names.iter().find_map(|name| json[*name].as_str()).unwrap_or_default().to_owned()
            };
            (text(&["__type", "code", "Code"]), text(&["message", "Message", "errorMessage"]))
        }
        Err(_) => (tag(&body, "Code").unwrap_or_default(), tag(&body, "Message").unwrap_or_default()),
    };
    if code.is_empty() {
        let header = response.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        code = header.unwrap_or_default().to_owned();
    }
    // `com.amazonaws.x#AccessDeniedException:http://...`
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(80).collect();
    Some(Refusal { status: response.status.as_u16(), code, message: quoted(&message) })
}

/// What a service was asked for, for errors.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The permission that the call needs, such as `aps:QueryMetrics`.
    pub permission: &'a str,
    /// The resource that the permission is on, as a policy names it.
    pub resource: &'a str,
    /// With what it was signed.
    pub credentials: &'a Credentials,
    /// For which region.
    pub region: &'a str,
}

impl Refusal {
    /// Whether the credentials were not known or not valid any more: others may be.
    pub fn is_stale(&self) -> bool {
        let words = self.message.to_ascii_lowercase();
        matches!(
            self.code.trim_end_matches("Exception"),
            "ExpiredToken"
                | "InvalidClientTokenId"
                | "UnrecognizedClient"
                | "InvalidToken"
                | "TokenRefreshRequired"
        ) || words.contains("the security token included in the request is")
    }

    /// Whether the service says that it is asked too often.
    pub fn is_throttled(&self) -> bool {
        self.status == 429
            || ["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"]
                .iter()
                .any(|start| self.code.starts_with(start))
    }

    /// Whether the clocks differ.
    pub fn is_skewed(&self) -> bool {
        let words = self.message.to_ascii_lowercase();
        matches!(self.code.as_str(), "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture")
            || words.contains("signature expired")
            || words.contains("signature not yet current")
    }

    /// Whether a permission is missing.
    pub fn is_denied(&self) -> bool {
        self.code.starts_with("AccessDenied")
            || self.code == "UnauthorizedOperation"
            || self.message.contains("is not authorized to perform")
    }

    /// The service's words with its code, without what it repeats of the credentials.
    pub fn words(&self, credentials: &Credentials) -> String {
        let Self { status, code, message } = self;
        let words = match (code.is_empty(), message.is_empty()) {
            (false, false) => format!("{code}: {message}"),
            (false, true) => code.clone(),
            (true, false) => message.clone(),
            (true, true) => format!("status {status}"),
        };
        credentials.hide_in(&words)
    }

    /// The error for a trigger: the service's words after `what` was tried, what they mean, and the line that mends it. `None` for
    /// refusals that only the caller understands.
    pub fn error(&self, what: &str, asked: &Asked<'_>) -> Option<Error> {
        let Asked { permission, resource, credentials, region } = asked;
        let said = format!("{what}: {}", self.words(credentials));
        let principal = &credentials.principal;
        let kind = Kind::Source(self.status);
        let error = if self.is_skewed() {
            let text = format!("{said}: the clocks of this node and of AWS differ");
            Error::coded(kind, Code::AwsClockSkew, text, "mend time synchronisation on the operator's node")
        } else if self.is_stale() || self.code == "SignatureDoesNotMatch" {
            let text = format!("{said}: {principal} is not accepted in region {region}");
            let advice = match credentials.expires {
                Some(_) => "check awsRegion: an opt-in region has to be enabled in the role's account",
                None => {
                    "check awsAccessKeyID, awsSecretAccessKey and awsSessionToken: the key may be deleted, inactive or mistyped"
                }
            };
            Error::coded(kind, Code::AwsKeysRefused, text, advice)
        } else if self.is_denied() {
            let text = format!("{said}: {principal} may not {permission}");
            let advice = format!(
                "attach a policy with {{\"Effect\":\"Allow\",\"Action\":\"{permission}\",\"Resource\":\"{resource}\"}} to it"
            );
            Error::coded(kind, Code::AwsForbidden, text, &advice)
        } else if self.is_throttled() {
            Error::coded(Kind::Source(429), Code::AwsThrottled, said, "")
        } else if self.status >= 500 {
            Error::coded(kind, Code::AwsFailing, said, "")
        } else {
            return None;
        };
        Some(error)
    }
}

/// The text of the first element of this name, without attributes, in an XML document, without its escapes.
pub fn tag(xml: &str, name: &str) -> Option<String> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    let inside = rest.split_once(&format!("</{name}>"))?.0;
    let plain =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(inside.trim().to_owned(), |text, (escape, plain)| text.replace(escape, plain)))
}

fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Keys;
    use crate::http::StatusCode;

    fn of(status: u16, body: &str) -> Refusal {
        refusal(&Response::new(StatusCode::from_u16(status).unwrap(), body.to_owned())).unwrap()
    }

    fn shown(status: u16, body: &str) -> Option<Error> {
        let keys = Keys { id: "AKID".into(), secret: "s3cret-access-key".into(), session_token: None };
        let asked = Asked {
            permission: "aps:QueryMetrics",
            resource: "*",
            credentials: &Credentials::of(&keys),
            region: "eu-west-1",
        };
        of(status, body).error("query refused", &asked)
    }

    #[test]
    fn every_protocol_says_code_and_words() {
        let denied = "User: arn:aws:iam::1:user/x is not authorized";
        for (status, body, code, message) in [
            (
                400,
                r#"{"__type":"com.amazonaws.x#AccessDeniedException","Message":"User: arn:aws:iam::1:user/x is not authorized"}"#,
                "AccessDeniedException",
                denied,
            ),
            (403, r#"{"message":"User: arn:aws:iam::1:user/x is not authorized"}"#, "", denied),
            (
                403,
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x\n is not authorized</Message></Error></ErrorResponse>",
                "AccessDenied",
                denied,
            ),
            (502, "<html>Bad &amp; Gateway</html>", "", ""),
        ] {
            let refusal = of(status, body);
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, message), "{body}");
        }
        let mut response = Response::new(StatusCode::FORBIDDEN, "");
        response.headers.insert("x-amzn-errortype", "MissingAuthenticationTokenException:x".parse().unwrap());
        assert_eq!(refusal(&response).unwrap().code, "MissingAuthenticationTokenException");
        assert_eq!(refusal(&Response::new(StatusCode::OK, "{}")), None);
    }

    #[test]
    fn a_refusal_says_what_mends_it() {
        for (status, body, code, part) in [
            (
                403,
                r#"{"message":"User: x is not authorized to perform: aps:QueryMetrics"}"#,
                Code::AwsForbidden,
                "\"Action\":\"aps:QueryMetrics\"",
            ),
            (
                403,
                r#"{"message":"The security token included in the request is invalid."}"#,
                Code::AwsKeysRefused,
                "access key AKID is not accepted in region eu-west-1",
            ),
            (
                403,
                r#"{"message":"Signature expired: 20150830T123600Z is now earlier than"}"#,
                Code::AwsClockSkew,
                "time synchronisation",
            ),
            (
                400,
                r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
                Code::AwsThrottled,
                "ThrottlingException: Rate exceeded",
            ),
            (503, "busy", Code::AwsFailing, "status 503"),
        ] {
            let error = shown(status, body).unwrap();
            assert_eq!(error.code, Some(code), "{error}");
            assert!(error.message.contains(part), "{error}");
        }
        assert_eq!(shown(404, "{}"), None);
        let repeated =
            shown(403, r#"{"message":"s3cret-access-key is not authorized to perform: x"}"#).unwrap();
        assert!(!repeated.message.contains("s3cret"), "{repeated}");
    }
}
