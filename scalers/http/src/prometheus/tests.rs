//! The prometheus trigger against upstream's verdicts, the table of answers, and what it sends.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use keda_scaler::contract::{Contract, Recorder, Scripted, Source, environment, parameters, upstream};
use keda_scaler::http::{Coalescing, ErrorKind, Response, StatusCode};
use keda_scaler::{
    Context, Environment, Error, Factory, Kind, Live, NoticeKind, Parameters, PodIdentity, Reading,
};

use super::Trigger;

mod oauth;

const FACTORY: Factory = Factory::of::<Trigger>();

fn example(extra: &[(&str, &str)], auth: &[(&str, &str)]) -> Parameters {
    let mut given =
        vec![("serverAddress", "http://prom:9090"), ("query", "sum(rate(x[2m]))"), ("threshold", "100")];
    given.extend(extra);
    parameters(&given, auth)
}

fn vector(value: f64) -> Response {
    ok(&format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
    ))
}

fn ok(body: &str) -> Response {
    Response::new(StatusCode::OK, body.to_owned())
}

async fn connect(given: &Parameters, environment: &Environment) -> Live {
    FACTORY.parse(given, &Context::default()).unwrap().connect(environment).await.unwrap()
}

async fn sample(live: &Live) -> Result<Reading, Error> {
    let mut outcomes = live.sample().await;
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].name, "s0-prometheus");
    outcomes.remove(0).result
}

/// Samples once; also returns what telemetry heard.
async fn ask(given: &Parameters, answer: Response) -> (Result<Reading, Error>, Vec<String>) {
    let recorder = Recorder::default();
    let transport = Scripted::answering(move |_| Ok(answer.clone()));
    let environment = Environment { telemetry: Arc::new(recorder.clone()), ..environment(transport) };
    let result = sample(&connect(given, &environment).await).await;
    (result, recorder.lines())
}

#[test]
fn upstream_agrees_with_every_case() {
    if let Some(report) = upstream::run(&FACTORY, include_str!("testdata/upstream-skips.txt")) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed > 190, "{report}");
        assert_eq!(report.equal_texts, report.errors, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let modes: [(&str, &[(&str, &str)]); 3] = [
        ("bearer", &[("bearerToken", "s3cr3t-bearer-token")]),
        ("basic", &[("username", "bob"), ("password", "s3cr3t-password")]),
        ("custom", &[("customAuthHeader", "X-Key"), ("customAuthValue", "s3cr3t-custom-value")]),
    ];
    for (mode, auth) in modes {
        let parameters = example(&[("authModes", mode), ("activationThreshold", "5")], auth);
        let source = Source::Http { answer: vector, activation: 5.0 };
        Contract { factory: FACTORY, parameters, source }.check().await;
    }
}

/// The answers of core.md 10.4, with our differences: what ignoreNullValues true and false make of them.
#[tokio::test(start_paused = true)]
async fn every_answer_has_its_outcome_3065_1850_2244() {
    let result = |text: &str| format!(r#"{{"status":"success","data":{{"result":{text}}}}}"#);
    let empty = "prometheus metrics 'prometheus' target may be lost, the result is empty";
    let no_value = "prometheus metrics 'prometheus' target may be lost, the value list is empty";
    let query = "prometheus query sum(rate(x[2m]))";
    // The body, the value if nothing is ignored or the error's text, whether ignoreNullValues makes it 0.
    let table: &[(String, Result<f64, String>, bool)] = &[
        (result(r#"[{"metric":{"a":"b"},"value":[1.5,"2.5"]}]"#), Ok(2.5), false),
        (result(r#"[{"value":[1,"-3"]}]"#), Ok(-3.0), false),
        (result(r#"[{"value":[1,"1e3"]}]"#), Ok(1000.0), false),
        // core.md 12 row 1: a JSON number panics upstream.
        (result(r#"[{"value":[1,5]}]"#), Ok(5.0), false),
        (result(r#"[{"value":[1,-0.5]}]"#), Ok(-0.5), false),
        // A scalar is a value (upstream: a JSON error).
        (result(r#"[1435781451.781,"7"]"#), Ok(7.0), false),
        (result(r#"[1435781451.781,7]"#), Ok(7.0), false),
        // No data.
        (result("[]"), Err(empty.into()), true),
        (result("null"), Err(empty.into()), true),
        (r#"{"status":"success"}"#.into(), Err(empty.into()), true),
        (result(r#"[{"metric":{}}]"#), Err(no_value.into()), true),
        (result(r#"[{"metric":{},"values":[[1,"2"]]}]"#), Err(no_value.into()), true),
        (result(r#"[{"value":[]}]"#), Err(no_value.into()), true),
        (result(r#"[{"value":[1,"NaN"]}]"#), Err("prometheus query returns NaN".into()), true),
        (result(r#"[{"value":[1,"+Inf"]}]"#), Err("prometheus query returns +Inf".into()), true),
        (result(r#"[{"value":[1,"-Inf"]}]"#), Err("prometheus query returns -Inf".into()), true),
        (result(r#"[1,"NaN"]"#), Err("prometheus query returns NaN".into()), true),
        // Not one number.
        (result(r#"[{"value":[1,"1"]},{"value":[1,"2"]}]"#), Err(format!("{query} returned multiple elements")), false),
        (result(r#"[{"value":[1]}]"#), Err(format!("{query} didn't return enough values")), false),
        (result("[1]"), Err(format!("{query} didn't return enough values")), false),
        (result(r#"[{"value":[1,"x"]}]"#), Err(format!("{query} returned \"x\", not a number")), false),
        (result(r#"[{"value":[1,[2]]}]"#), Err(format!("{query} returned a value that is not a number")), false),
        (result(r#"[{"value":[1,true]}]"#), Err(format!("{query} returned a value that is not a number")), false),
        // A document that says that it is an error, under a good status.
        (
            r#"{"status":"error","errorType":"execution","error":"expanding series: context canceled"}"#.into(),
            Err("prometheus query api returned error. status: 200 response: execution: expanding series: context \
                 canceled"
                .into()),
            false,
        ),
        (
            "<html>\n <title>Log in</title>".into(),
            Err("prometheus query api returned no JSON answer: expected value at line 1 column 1; it begins with \
                 \"<html> <title>Log in</title>\""
                .into()),
            false,
        ),
        (
            String::new(),
            Err("prometheus query api returned no JSON answer: EOF while parsing a value at line 1 column 0".into()),
            false,
        ),
    ];
    for (body, strict, ignorable) in table {
        for ignore in [false, true] {
            let given = example(&[("ignoreNullValues", if ignore { "true" } else { "false" })], &[]);
            let (outcome, heard) = ask(&given, ok(body)).await;
            let expected = if ignore && *ignorable { Ok(0.0) } else { strict.clone() };
            let found = outcome.map(|reading| reading.value).map_err(|error| error.message);
            assert_eq!(found, expected, "{body} (ignoreNullValues {ignore})");
            // Missing is not zero: whoever reads it as 0 can see how often.
            let counted = heard.contains(&format!("empty s0-prometheus ignored={ignore}"));
            assert_eq!(counted, *ignorable, "{body}: {heard:?}");
        }
    }
}

/// Upstream reports 0 and inactive, whatever ignoreNullValues says.
#[tokio::test(start_paused = true)]
async fn a_null_sample_is_zero_and_inactive() {
    let body = r#"{"status":"success","data":{"result":[{"value":[1,null]}]}}"#;
    for (activation, active) in [("0", false), ("5", false), ("-5", true)] {
        let given = example(&[("activationThreshold", activation), ("ignoreNullValues", "false")], &[]);
        let reading = ask(&given, ok(body)).await.0.unwrap();
        assert_eq!((reading.value, reading.active), (0.0, active));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_carry_the_servers_own_words() {
    let long = "x".repeat(1000);
    for (status, body, text, temporary) in [
        (
            400,
            r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error: unexpected end of input"}"#,
            "prometheus query api returned error. status: 400 response: bad_data: 1:3: parse error: unexpected end of \
             input"
                .to_owned(),
            false,
        ),
        (403, " Forbidden\n by policy\n", "prometheus query api returned error. status: 403 response: Forbidden by policy".into(), false),
        (503, "", "prometheus query api returned error. status: 503".into(), true),
        (502, &long, format!("prometheus query api returned error. status: 502 response: {}...", &long[..256]), true),
        (302, "", "prometheus query api returned error. status: 302".into(), false),
    ] {
        let answer = Response::new(StatusCode::from_u16(status).unwrap(), body.to_owned());
        let error = ask(&example(&[], &[]), answer).await.0.unwrap_err();
        assert_eq!(error.message, text);
        assert_eq!((error.kind, error.temporary()), (Kind::Source(status), temporary));
    }
}

/// A million series cost no more than their text, and are still one clear error.
#[tokio::test(start_paused = true)]
async fn a_huge_answer_is_not_kept() {
    let series = r#"{"metric":{"pod":"shop-0"},"value":[1,"1"]},"#.repeat(100_000);
    let body = format!(r#"{{"status":"success","data":{{"result":[{}]}}}}"#, series.trim_end_matches(','));
    let error = ask(&example(&[], &[]), ok(&body)).await.0.unwrap_err();
    assert_eq!(error.message, "prometheus query sum(rate(x[2m])) returned multiple elements");
}

async fn sent(given: &Parameters) -> keda_scaler::http::Request {
    let transport = Scripted::answering(|_| Ok(vector(1.0)));
    let live = connect(given, &environment(transport.clone())).await;
    sample(&live).await.unwrap();
    transport.requests().remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_url_is_upstreams() {
    let request = sent(&example(
        &[("namespace", "my ns"), ("queryParameters", "dedup=true, a b=c&d"), ("timeout", "1500")],
        &[],
    ))
    .await;
    assert_eq!(
        request.url,
        "http://prom:9090/api/v1/query?query=sum%28rate%28x%5B2m%5D%29%29&time=2026-11-24T10:00:00Z&namespace=my ns\
         &a+b=c%26d&dedup=true"
    );
    assert_eq!(request.timeout, Some(Duration::from_millis(1500)));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_is_the_operators() {
    for extra in [&[][..], &[("timeout", "0")]] {
        assert_eq!(sent(&example(extra, &[])).await.timeout, Some(Duration::from_secs(3)));
    }
}

/// At most one credential is sent: bearer, else basic, else custom.
#[tokio::test(start_paused = true)]
async fn credentials_are_sent_by_rank() {
    let all = [
        ("bearerToken", "token1"),
        ("username", "bob"),
        ("password", "builder"),
        ("customAuthHeader", "X-Key"),
        ("customAuthValue", "value1"),
    ];
    let headers = [("customHeaders", "X-Scope-OrgID=tenant,X-Key=plain")];
    for (modes, authorization, key) in [
        ("", None, "plain"),
        ("bearer", Some("Bearer token1"), "plain"),
        ("basic", Some("Basic Ym9iOmJ1aWxkZXI="), "plain"),
        ("custom", None, "value1"),
        ("custom,bearer", Some("Bearer token1"), "plain"),
        ("apiKey", None, "plain"),
    ] {
        let mut auth = all.to_vec();
        auth.push(("apiKey", "unused1"));
        let request = sent(&example(&[headers[0], ("authModes", modes)], &auth)).await;
        let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("authorization"), authorization, "{modes}");
        assert_eq!(header("x-key"), Some(key), "{modes}");
        assert_eq!(header("x-scope-orgid"), Some("tenant"), "{modes}");
        assert!(request.headers.get("authorization").is_none_or(|value| value.is_sensitive()));
    }
}

/// With a `ca` or the mode `tls` the server is verified whatever unsafeSsl says; without authModes `ca` is not used.
#[tokio::test(start_paused = true)]
async fn trust_follows_upstreams_rules() {
    let (ca, cert, key) = (NOBODY.0.as_str(), NOBODY.0.as_str(), NOBODY.1.as_str());
    let auth = [("ca", ca), ("cert", cert), ("key", key), ("bearerToken", "token1"), ("username", "bob")];
    for (modes, with_ca, unsafe_ssl, expect_ca, expect_certificate) in [
        ("", true, true, false, false),
        ("bearer", false, true, false, false),
        ("bearer", true, false, true, true),
        ("tls", true, false, true, true),
        ("tls,basic", false, false, false, true),
    ] {
        let auth: Vec<_> = auth.iter().copied().filter(|(name, _)| with_ca || *name != "ca").collect();
        let request = sent(&example(&[("authModes", modes), ("unsafeSsl", "true")], &auth)).await;
        let found = (request.tls.unsafe_ssl, request.tls.ca.is_some(), request.tls.certificate.is_some());
        assert_eq!(found, (unsafe_ssl, expect_ca, expect_certificate), "{modes} ca={with_ca}");
    }
}

#[tokio::test(start_paused = true)]
async fn unusable_credentials_are_named_on_connecting() {
    let environment = environment(Scripted::silent());
    for (extra, auth, text, kind) in [
        (
            &[("authModes", "tls")][..],
            &[("cert", "x"), ("key", "y")][..],
            "cert: no PEM certificate in it",
            Kind::Auth,
        ),
        (
            &[("authModes", "tls")],
            &[("cert", NOBODY.0.as_str()), ("key", "y")],
            "key: no PEM private key in it",
            Kind::Auth,
        ),
        (
            &[("authModes", "basic")],
            &[("username", "u"), ("ca", "x")],
            "ca: no PEM certificate in it",
            Kind::Auth,
        ),
        (
            &[("authModes", "bearer")],
            &[("bearerToken", "two\nlines")],
            "bearerToken cannot be sent as a header",
            Kind::Auth,
        ),
        (
            &[("customHeaders", "a b=c")],
            &[],
            "customHeaders: \"a b\" cannot be sent as a header",
            Kind::Config,
        ),
    ] {
        let parsed = FACTORY.parse(&example(extra, auth), &Context::default()).unwrap();
        let error = parsed.connect(&environment).await.unwrap_err();
        assert_eq!((error.message.as_str(), error.kind), (text, kind));
        assert!(!error.temporary());
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let given = example(
        &[
            ("metricName", "http_requests_total"),
            ("authModes", "apiKey"),
            ("thresold", "1"),
            ("queryFromEnv", "Q"),
            ("username", "bob"),
        ],
        &[("apiKey", "key123")],
    );
    let parsed =
        FACTORY.parse(&given, &Context { trigger_name: Some("load".into()), ..Context::default() }).unwrap();
    let said: Vec<_> =
        parsed.notices().iter().map(|notice| (notice.kind, notice.warning, notice.text.as_str())).collect();
    assert_eq!(
        said,
        [
            (
                NoticeKind::Deprecated,
                false,
                "scaler prometheus info: The 'metricName' setting is not used any more and can be removed"
            ),
            (
                NoticeKind::NoEffect,
                true,
                "authModes apiKey has no effect in scaler prometheus: nothing is sent"
            ),
            (
                NoticeKind::Unread,
                true,
                "Unused input property queryFromEnv in scaler prometheus (load): query is read from [triggerMetadata] only"
            ),
            (NoticeKind::Unread, true, "Unmatched input property thresold in scaler prometheus (load)"),
            (
                NoticeKind::Unread,
                true,
                "Unused input property username in scaler prometheus (load): username is read from [authParams] only"
            ),
        ]
    );
    assert_eq!(parsed.label(), "load");
    let ca = FACTORY.parse(&example(&[], &[("ca", "x")]), &Context::default()).unwrap();
    assert_eq!(
        ca.notices()[0].text,
        "ca has no effect in scaler prometheus without authModes: only the system's roots are trusted"
    );
    let tls = example(&[("authModes", "basic"), ("unsafeSsl", "true")], &[("username", "u"), ("ca", "x")]);
    assert_eq!(
        FACTORY.parse(&tls, &Context::default()).unwrap().notices()[0].text,
        "unsafeSsl has no effect in scaler prometheus with ca or the mode tls: the server is verified"
    );
}

#[test]
fn an_unknown_identity_is_refused_by_its_name() {
    let context = Context { pod_identity: PodIdentity::from_provider("azure"), ..Context::default() };
    let error = FACTORY.parse(&example(&[], &[]), &context).unwrap_err();
    let text = "pod identity provider azure is not supported yet by the prometheus trigger";
    assert_eq!((error.message.as_str(), error.kind), (text, Kind::Unsupported));
}

/// core.md 12 row 12: three decimals, and what they make 0 is refused before the HPA.
#[test]
fn targets_have_three_decimals_and_are_positive() {
    for (threshold, target) in [("2.5", "2500m"), ("0.0015", "2m"), ("1e3", "1k"), ("5.0", "5")] {
        let parsed = FACTORY.parse(&example(&[("threshold", threshold)], &[]), &Context::default()).unwrap();
        assert_eq!(parsed.specs()[0].target().to_string(), target, "{threshold}");
    }
    for threshold in ["0", "-1", "0.0004"] {
        let given = example(&[("threshold", threshold)], &[]);
        let error = FACTORY.parse(&given, &Context::default()).unwrap_err();
        assert!(error.message.contains("an HPA target must be positive"), "{error}");
        let source = Context { as_metric_source: true, ..Context::default() };
        assert!(FACTORY.parse(&given, &source).is_ok(), "a formula has its own target");
    }
}

/// design §5: objects that ask the same query in the same second ask once; the next second asks anew.
#[tokio::test(start_paused = true)]
async fn the_same_query_in_the_same_second_is_one_request_7676_2918() {
    let source = Scripted::answering(|_| Ok(vector(3.0)));
    let shared = Coalescing::new(source.clone());
    let environment = environment(shared.clone());
    let mut objects = Vec::new();
    for _ in 0..50 {
        objects.push(connect(&example(&[], &[]), &environment).await);
    }
    let readings = futures::future::join_all(objects.iter().map(sample)).await;
    assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 3.0)));
    assert_eq!(source.requests().len(), 1);
    sample(&objects[0]).await.unwrap();
    assert_eq!(source.requests().len(), 1, "within the second the answer is given again");
    tokio::time::advance(Duration::from_secs(1)).await;
    sample(&objects[0]).await.unwrap();
    assert_eq!(source.requests().len(), 2);
    let other =
        connect(&example(&[("authModes", "bearer")], &[("bearerToken", "token1")]), &environment).await;
    sample(&other).await.unwrap();
    assert_eq!(source.requests().len(), 3, "another credential never shares an answer");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_down_is_an_error_with_the_address() {
    let transport = Scripted::answering(|request| {
        let text = format!("{}: cannot connect: connection refused", request.describe());
        Err(keda_scaler::http::Error::new(ErrorKind::Connect, text))
    });
    let live = connect(&example(&[], &[]), &environment(transport)).await;
    let error = sample(&live).await.unwrap_err();
    assert_eq!(error.message, "GET http://prom:9090/api/v1/query: cannot connect: connection refused");
    assert_eq!(error.kind, Kind::Unreachable);
}

#[test]
fn the_sample_parses() {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(include_str!("sample.yaml")).unwrap();
    let authentication: keda_api::TriggerAuthentication =
        serde_json::from_value(documents[0].clone()).unwrap();
    let object: keda_api::ScaledObject = serde_json::from_value(documents[1].clone()).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    assert_eq!(trigger.authentication_ref.map(|reference| reference.name), authentication.metadata.name);
    let auth = serde_json::to_value(&authentication.spec).unwrap();
    let names =
        auth["secretTargetRef"].as_array().unwrap().iter().map(|entry| entry["parameter"].as_str().unwrap());
    let auth = names.map(|name| (name.to_owned(), NOBODY.0.as_str().into())).collect();
    let parameters = Parameters { metadata: trigger.metadata, auth, ..Parameters::default() };
    let parsed = FACTORY.parse(&parameters, &Context::default()).unwrap();
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
    for name in parameters.auth.keys() {
        let declared = FACTORY.parameters().iter().find(|parameter| parameter.names.contains(&name.as_str()));
        assert!(
            declared.is_some_and(|parameter| parameter.from.contains(&keda_scaler::config::Origin::Auth)),
            "{name}"
        );
    }
}

/// A certificate and its key that are nobody's.
static NOBODY: LazyLock<(String, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["nobody".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
});

proptest::proptest! {
    /// A source that lies gets an answer or an error, never a panic.
    #[test]
    fn any_answer_is_read(body in r#"(\{|\}|\[|\]|,|:|1|-?2.5e3|null|true|"value"|"data"|"result"|"status"|"error"|"x"){0,40}"#) {
        let wrapped = format!(r#"{{"status":"success","data":{{"result":{body}}}}}"#);
        for text in [body, wrapped] {
            for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
                let _ = super::answer::read(&Response::new(status, text.clone()), "q");
            }
        }
    }
}
