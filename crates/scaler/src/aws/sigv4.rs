//! AWS Signature Version 4 in the `Authorization` header (docs/adr/0013).
//!
//! A request is brought into a canonical form, which is hashed and signed with a key derived from secret, day, region and
//! service. Of a path whose escapes are part of the name, every service but S3 wants each escape escaped once more.
//! Checked against AWS's published test suite (`testdata/sigv4.json`, from awslabs/aws-c-auth, Apache-2.0).

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use reqwest::Url;

use super::Credentials;
use crate::http::{Request, sensitive, shown_url};
use crate::{Error, Kind};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Headers that servers and proxies on the way may change, or that are no part of what was asked.
const UNSIGNED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::EXPECT,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::ACCEPT_ENCODING,
];

/// For whom a signature is: it holds for one service in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signing<'a> {
    /// The service's signing name, such as `sts` or `aps`.
    pub service: &'a str,
    /// Its region.
    pub region: &'a str,
}

impl Signing<'_> {
    /// Signs a request as it will be sent at `now`. Its URL is brought into the form that is signed, without user information.
    ///
    /// # Errors
    /// The URL is none, or the credentials cannot be sent as headers.
    pub fn sign(
        &self,
        request: &mut Request,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<(), Error> {
        let unusable = |why: &str| Error::config(format!("{}: {why}", shown_url(&request.url)));
        let url = Url::parse(&request.url).map_err(|error| unusable(&format!("not a URL: {error}")))?;
        let Some(host) = url.host_str() else { return Err(unusable("not a URL with a host")) };
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let query = canonical_query(url.query().unwrap_or_default());
        let (scheme, path) = (url.scheme(), url.path());
        request.url = match query.as_str() {
            "" => format!("{scheme}://{host}{path}"),
            query => format!("{scheme}://{host}{path}?{query}"),
        };
        let unsendable =
            || Error::new(Kind::Auth, "the AWS credentials hold characters that cannot be sent as a header");
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let text = |text: &str| HeaderValue::try_from(text).map_err(|_| unsendable());
        request.headers.insert(header::HOST, text(&host)?);
        request.headers.insert("x-amz-date", text(&time)?);
        request.headers.remove("x-amz-security-token");
        if let Some(token) = &credentials.session_token {
            let token = sensitive(token.expose()).ok_or_else(unsendable)?;
            request.headers.insert("x-amz-security-token", token);
        }
        let signed = canonical_headers(&request.headers, |name| !UNSIGNED.contains(name));
        let canonical = canonical(request.method.as_str(), path, &query, &signed, &request.body);
        let authorization = self.authorization(&canonical, &signed.names, credentials, &time);
        let authorization = sensitive(&authorization).ok_or_else(unsendable)?;
        request.headers.insert(header::AUTHORIZATION, authorization);
        Ok(())
    }

    fn authorization(&self, canonical: &str, names: &str, credentials: &Credentials, time: &str) -> String {
        let Self { service, region } = self;
        let day = &time[..8];
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let mut key = format!("AWS4{}", credentials.secret_access_key.expose()).into_bytes();
        for part in [day, region, service, "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex(&mac(&key, &to_sign));
        let id = &credentials.access_key_id;
        format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }
}

/// SHA-256, as lowercase hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The signed headers: their lines, each ended, and their names.
struct Headers {
    lines: String,
    names: String,
}

fn canonical_headers(headers: &HeaderMap, signed: impl Fn(&HeaderName) -> bool) -> Headers {
    let mut names: Vec<&HeaderName> = headers.keys().filter(|name| signed(name)).collect();
    names.sort_by_key(|name| name.as_str());
    let mut lines = String::new();
    for name in &names {
        let values = headers.get_all(*name).iter();
        let values: Vec<String> = values
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        let _ = writeln!(lines, "{name}:{}", values.join(","));
    }
    let names = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(";");
    Headers { lines, names }
}

fn canonical(method: &str, path: &str, query: &str, headers: &Headers, body: &[u8]) -> String {
    let Headers { lines, names } = headers;
    format!("{method}\n{}\n{query}\n{lines}\n{names}\n{}", canonical_path(path), sha256_hex(body))
}

/// The path without `.`, `..` and doubled slashes, each of its characters escaped but for the unreserved.
fn canonical_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut canonical = kept.iter().fold(String::new(), |mut canonical, segment| {
        canonical.push('/');
        escape(segment.as_bytes(), &mut canonical);
        canonical
    });
    if canonical.is_empty() || path.ends_with(['/']) {
        canonical.push('/');
    }
    canonical
}

/// The parameters in the order of their names and values, escaped strictly: a blank is `%20`.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| {
            let mut pair = (String::new(), String::new());
            escape(name.as_bytes(), &mut pair.0);
            escape(value.as_bytes(), &mut pair.1);
            pair
        })
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn escape(bytes: &[u8], into: &mut String) {
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(*byte));
            }
            byte => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// Judges a request as a service does: from what arrived, with the secret that it knows. For servers in memory.
///
/// # Errors
/// What is wrong with it, as one word that services use.
#[cfg(feature = "contract")]
pub fn verify(
    request: &Request,
    credentials: &Credentials,
    signing: Signing<'_>,
) -> Result<(), &'static str> {
    let text =
        |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = text("authorization");
    let field = |name: &str| {
        let rest = given.split_once(&format!("{name}="))?.1;
        Some(rest.split(',').next().unwrap_or_default())
    };
    let (Some(names), true) = (field("SignedHeaders"), given.starts_with(ALGORITHM)) else {
        return Err("MissingAuthenticationToken");
    };
    let names: Vec<&str> = names.split(';').collect();
    if !names.contains(&"host") || !names.contains(&"x-amz-date") {
        return Err("IncompleteSignature");
    }
    let token = credentials.session_token.as_ref().map(crate::Secret::expose).unwrap_or_default();
    if text("x-amz-security-token") != token
        || (!token.is_empty() && !names.contains(&"x-amz-security-token"))
    {
        return Err("InvalidClientTokenId");
    }
    let url = Url::parse(&request.url).map_err(|_| "MalformedQueryString")?;
    let headers = canonical_headers(&request.headers, |name| names.contains(&name.as_str()));
    let query = canonical_query(url.query().unwrap_or_default());
    let canonical = canonical(request.method.as_str(), url.path(), &query, &headers, &request.body);
    let time = text("x-amz-date");
    if time.len() != 16 || signing.authorization(&canonical, &headers.names, credentials, time) != given {
        return Err("SignatureDoesNotMatch");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
