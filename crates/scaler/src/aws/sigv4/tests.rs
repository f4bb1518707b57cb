//! AWS's published test suite, and what the suite does not say.

use serde_json::Value;

use super::*;
use crate::aws::Keys;

const SIGNING: Signing<'static> = Signing { service: "service", region: "us-east-1" };

fn credentials(token: Option<&str>) -> Credentials {
    Credentials::of(&Keys {
        id: "AKIDEXAMPLE".into(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: token.map(Into::into),
    })
}

fn now() -> Timestamp {
    "2015-08-30T12:36:00Z".parse().unwrap()
}

/// The suite's requests as they stand there: paths are not escaped yet, so they are escaped once.
#[test]
fn amazons_test_suite_agrees() {
    let suite: Vec<Value> = serde_json::from_str(include_str!("../testdata/sigv4.json")).unwrap();
    assert_eq!(suite.len(), 30);
    for case in &suite {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let (path, query) = text("target").split_once('?').unwrap_or((text("target"), ""));
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        let token = case["token"].as_str();
        if let Some(token) = token {
            headers.insert("x-amz-security-token", HeaderValue::try_from(token).unwrap());
        }
        for header in case["headers"].as_array().unwrap() {
            let name = HeaderName::try_from(header[0].as_str().unwrap()).unwrap();
            // A header of many lines is one line by the time it is a header.
            let value = header[1].as_str().unwrap().replace('\n', " ");
            headers.append(name, HeaderValue::try_from(value).unwrap());
        }
        // The suite signs the body's hash as a header where it signs the body at all.
        if case["sign_body"] == true {
            let hash = sha256_hex(text("body").as_bytes());
            headers.insert("x-amz-content-sha256", HeaderValue::try_from(hash).unwrap());
        }
        let signed = canonical_headers(&headers, |name| !UNSIGNED.contains(name));
        let canonical =
            canonical(text("method"), path, &canonical_query(query), &signed, text("body").as_bytes());
        assert_eq!(canonical, text("canonical"), "{}", text("name"));
        let authorization =
            SIGNING.authorization(&canonical, &signed.names, &credentials(token), "20150830T123600Z");
        let signature = authorization.rsplit_once("Signature=").unwrap().1;
        assert_eq!(signature, text("signature"), "{}", text("name"));
    }
}

/// botocore 1.4x signs this request so: an escaped path, a doubled slash, a port, a query with blanks and plus signs.
#[test]
fn escapes_are_signed_as_botocore_signs_them() {
    let mut request = Request::get(
        "https://bob:pw@example.amazonaws.com:8443/a%20b/c//d?query=sum(rate(x{a=\"b+c\"}[5m]))+%2B+1&b=2&a",
    );
    request.headers.insert("x-amz-target", HeaderValue::from_static("secretsmanager.GetSecretValue"));
    SIGNING.sign(&mut request, &credentials(Some("t0ken/+=")), now()).unwrap();
    assert_eq!(
        request.url,
        "https://example.amazonaws.com:8443/a%20b/c//d?a=&b=2&query=sum%28rate%28x%7Ba%3D%22b%20c%22%7D%5B5m%5D%29%29%20%2B%201"
    );
    let authorization = request.headers["authorization"].to_str().unwrap();
    assert_eq!(
        authorization,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, \
         Signature=f367a78323349611b78ec3df1352435baabe91e0a65e21ea642cdbf302950fb4"
    );
}

#[cfg(feature = "contract")]
#[test]
fn a_changed_request_does_not_verify() {
    let signed = || {
        let mut request =
            Request::post_form("https://sts.us-east-1.amazonaws.com/", &[("Action", "AssumeRole")]);
        SIGNING.sign(&mut request, &credentials(Some("t0ken")), now()).unwrap();
        request
    };
    let judge = |request: &Request| verify(request, &credentials(Some("t0ken")), SIGNING);
    assert_eq!(judge(&signed()), Ok(()));
    let mut body = signed();
    body.body = "Action=GetCallerIdentity".into();
    assert_eq!(judge(&body), Err("SignatureDoesNotMatch"));
    let mut path = signed();
    path.url = "https://sts.us-east-1.amazonaws.com/other".to_owned();
    assert_eq!(judge(&path), Err("SignatureDoesNotMatch"));
    let mut unsigned = signed();
    unsigned.headers.remove("authorization");
    assert_eq!(judge(&unsigned), Err("MissingAuthenticationToken"));
    let mut token = signed();
    token.headers.remove("x-amz-security-token");
    assert_eq!(judge(&token), Err("InvalidClientTokenId"));
    let elsewhere = Signing { region: "eu-west-1", ..SIGNING };
    assert_eq!(verify(&signed(), &credentials(Some("t0ken")), elsewhere), Err("SignatureDoesNotMatch"));
}

#[test]
fn what_is_signed_is_never_printed() {
    let mut request = Request::get("https://example.amazonaws.com/");
    SIGNING.sign(&mut request, &credentials(Some("s3cret-session")), now()).unwrap();
    let printed = format!("{request:?} {:?}", request.headers);
    assert!(!printed.contains("s3cret") && !printed.contains("Signature="), "{printed}");
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let mut request = Request::get("not a url");
    assert!(SIGNING.sign(&mut request, &credentials(None), now()).is_err());
    let mut request = Request::get("https://example.amazonaws.com/");
    let error = SIGNING.sign(&mut request, &credentials(Some("a\nb")), now()).unwrap_err();
    assert_eq!(error.kind, Kind::Auth);
    assert!(!error.message.contains("a\nb"), "{error}");
}
