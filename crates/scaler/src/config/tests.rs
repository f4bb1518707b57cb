//! The derive, the lookup and upstream's own tests of its parser.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::contract::{parameters, upstream};
use crate::{Parameters, Secret, TriggerConfig, Words};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
enum Mode {
    Basic,
    #[word("TLS")]
    Tls,
    ApiKey,
}

#[derive(Debug, TriggerConfig)]
#[config(check = Self::check)]
struct Login {
    /// Who logs in.
    #[param(from(auth, metadata))]
    username: String,
    /// With what.
    #[param(from(auth))]
    password: Secret,
}

impl Login {
    fn check(&self) -> Result<(), String> {
        if self.username == "root" { Err("root may not log in".to_owned()) } else { Ok(()) }
    }
}

#[derive(Debug, TriggerConfig)]
struct Config {
    /// The address, first paragraph
    /// on two lines.
    ///
    /// Second paragraph.
    #[param(name = "serverURL", alias = "address", from(metadata, env))]
    server: String,
    /// A number.
    #[param(from(metadata), default = 5)]
    queue_length: i64,
    /// A number that may be absent.
    #[param(from(metadata, auth))]
    ratio: Option<f64>,
    /// A list of words.
    #[param(from(metadata, auth), optional, exclusive("basic", "TLS"))]
    modes: Vec<Mode>,
    /// Partitions.
    #[param(from(metadata), optional, separator = ";", range = "..")]
    partitions: Vec<i32>,
    /// Pairs.
    #[param(from(metadata), optional)]
    labels: BTreeMap<String, i64>,
    /// How long.
    #[param(from(metadata), default = "1m30s")]
    interval: Duration,
    /// Two words, as text.
    #[param(from(metadata), default = "a", one_of("a", "b"))]
    word: String,
    /// A query string.
    #[param(from(auth), optional)]
    extra: UrlValues,
    /// Gone.
    #[param(from(metadata), optional, deprecated = "use queueLength")]
    length: Retired,
    /// Going.
    #[param(from(metadata), deprecated_announce = "prefer serverURL")]
    host: Option<String>,
    #[param(group, optional)]
    login: Login,
}

fn read(given: &Parameters) -> (Config, lookup::Findings) {
    let mut lookup = Lookup::new(given, "test");
    let config = Config::read(&mut lookup);
    (config, lookup.finish())
}

#[test]
fn the_declaration_is_static_data() {
    let declared = Config::parameters();
    let names: Vec<_> = declared.iter().map(Parameter::name).collect();
    assert_eq!(
        names,
        [
            "serverURL",
            "queueLength",
            "ratio",
            "modes",
            "partitions",
            "labels",
            "interval",
            "word",
            "extra",
            "length",
            "host",
            "username",
            "password"
        ]
    );
    let server = &declared[0];
    assert_eq!(server.aliases(), ["address"]);
    assert_eq!(server.from, [Origin::Metadata, Origin::Env]);
    assert_eq!(server.doc, "The address, first paragraph on two lines.\n\nSecond paragraph.");
    assert!(server.required());
    let find = |name: &str| declared.iter().find(|parameter| parameter.name() == name).unwrap();
    assert_eq!(find("queueLength").default, Some("5"));
    assert_eq!(find("modes").one_of, ["basic", "TLS", "apiKey"]);
    assert_eq!(find("modes").shape, Shape::List(&Shape::Word));
    assert_eq!(find("labels").shape, Shape::Map(&Shape::Integer));
    assert!(
        find("password").secret() && find("password").optional,
        "members of an optional group are optional"
    );
    assert!(!find("length").required());
}

#[test]
fn values_come_from_the_first_source_that_has_one() {
    let mut given = parameters(
        &[
            ("serverURL", " \t"),
            ("address", "  there "),
            ("serverURLFromEnv", "ADDRESS"),
            ("modes", ""),
            ("ratio", "1e3"),
            ("partitions", "1..3; 7 ;9..8"),
            ("labels", "a=1, b = 2"),
            ("interval", "250"),
        ],
        &[
            ("modes", "apiKey, basic"),
            ("ratio", "7"),
            ("extra", "a=1&b=x%20y&a=2+3"),
            ("password", " hunter2 "),
        ],
    );
    given.env.insert("ADDRESS".into(), "elsewhere".into());
    let (config, findings) = read(&given);
    assert_eq!(findings.errors, Vec::<String>::new());
    assert_eq!(config.server, "there");
    assert_eq!((config.queue_length, config.ratio), (5, Some(1000.0)));
    assert_eq!(config.modes, [Mode::ApiKey, Mode::Basic]);
    assert_eq!(config.partitions, [1, 2, 3, 7]);
    assert_eq!(config.labels, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!(config.interval, Duration::from_millis(250));
    assert_eq!(config.extra.0["a"], ["1", "2 3"]);
    assert_eq!(config.login.password.expose(), "hunter2", "secrets are trimmed too");
    assert_eq!(findings.secrets, [Secret::from("hunter2")]);

    given.metadata.remove("address");
    assert_eq!(read(&given).0.server, "elsewhere", "the variable that serverURLFromEnv names");
}

#[test]
fn every_fault_is_collected_in_order() {
    let given = parameters(
        &[
            ("queueLength", "5.0"),
            ("modes", "basic,TLS"),
            ("partitions", "1;x"),
            ("labels", "a"),
            ("interval", "-5s"),
            ("word", "a, c"),
            ("length", "1"),
            ("host", "h"),
            ("username", "root"),
        ],
        &[],
    );
    let (config, findings) = read(&given);
    assert_eq!(
        findings.errors,
        [
            "missing required parameter \"serverURL,address\" in [triggerMetadata resolvedEnv]",
            "unable to set param \"queueLength\" value \"5.0\": unable to unmarshal to field type int64: json: cannot \
             unmarshal number 5.0 into Go value of type int64",
            "parameter \"modes\" value \"basic,TLS\" must contain only one of [basic TLS]",
            "unable to set param \"partitions\" value \"1;x\": unable to unmarshal to field type int32: invalid \
             character 'x' looking for beginning of value",
            "unable to set param \"labels\" value \"a\": expected format key=value, got \"a\"",
            "unable to set param \"interval\" value \"-5s\": duration cannot be negative: -5s",
            "parameter \"word\" value \"a, c\" must be one of [a b]",
            "scaler test info: use queueLength",
            "root may not log in",
        ]
    );
    let notices: Vec<_> = findings.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!(notices, ["scaler test info: prefer serverURL"]);
    assert_eq!((config.queue_length, config.partitions.len()), (0, 0), "what is wrong is empty");
}

/// Values out of Secrets and environments may be credentials, even in the wrong place.
#[test]
fn errors_do_not_show_what_came_from_secrets() {
    let mut given = parameters(
        &[("serverURL", "s"), ("modes", "")],
        &[("modes", "s3cr3t-value"), ("ratio", "s3cr3t-value"), ("extra", "%zz-s3cr3t-value")],
    );
    given.env.insert("V".into(), "s3cr3t-value".into());
    assert_eq!(
        read(&given).1.errors,
        [
            "unable to set param \"ratio\" value <hidden> from authParams: it cannot be read as a number",
            "parameter \"modes\" value <hidden> from authParams must be one of [basic TLS apiKey]",
            "unable to set param \"extra\" value <hidden> from authParams: it cannot be read as a query string",
        ]
    );
}

#[test]
fn ranges_cannot_take_the_operators_memory() {
    let given = parameters(&[("serverURL", "s"), ("partitions", "1..1000000000")], &[]);
    assert_eq!(
        read(&given).1.errors,
        ["unable to set param \"partitions\" value \"1..1000000000\": more than 100000 elements"]
    );
}

#[test]
fn values_are_for_people_and_hide_secrets() {
    let given = parameters(&[("serverURL", "s"), ("modes", "TLS")], &[("password", "hunter2")]);
    let values = |secrets| {
        let mut values = serde_json::Map::new();
        read(&given).0.values(secrets, &mut values);
        Json::Object(values)
    };
    let expected = json!({
        "serverURL": "s", "queueLength": 5, "ratio": 0.0, "modes": ["TLS"], "partitions": null, "labels": null,
        "interval": "1m30s", "word": "a", "extra": null, "host": "", "username": "", "password": "<hidden>"
    });
    assert_eq!(values(Secrets::Hidden), expected);
    assert_eq!(values(Secrets::Shown)["password"], "hunter2");
}

#[test]
fn unread_metadata_is_found() {
    let given = parameters(
        &[
            ("serverURL", "s"),
            ("serverURLFromEnv", "X"),
            ("queueLenght", "1"),
            ("password", "p"),
            ("wordFromEnv", "W"),
        ],
        &[],
    );
    let texts = |name| -> Vec<String> {
        unread(&given, Config::parameters(), false, "test", name)
            .into_iter()
            .map(|notice| notice.text)
            .collect()
    };
    assert_eq!(
        texts(None),
        [
            "Unused input property password in scaler test: password is read from [authParams] only",
            "Unmatched input property queueLenght in scaler test",
            "Unused input property wordFromEnv in scaler test: word is read from [triggerMetadata] only",
        ]
    );
    assert_eq!(texts(Some("mine"))[1], "Unmatched input property queueLenght in scaler test (mine)");
}

/// Upstream's tests of its generic parser: each case brings its own declaration.
#[test]
fn upstreams_generic_cases_agree() {
    let Ok(text) = std::fs::read(upstream::folder().join("typed-config.json")) else {
        println!("typed-config: upstream's cases are skipped: {} is not there", upstream::folder().display());
        return;
    };
    let cases: Vec<Json> = serde_json::from_slice(&text).unwrap();
    let mut ran = 0;
    for case in &cases {
        let schema = case["schema"].as_array().unwrap();
        if schema.iter().any(|item| item["names"].is_null() && item["nested"].is_null()) {
            println!("{}: skipped: a nested parameter of a plain type does not compile here", case["id"]);
            continue;
        }
        let map =
            |name: &str| -> BTreeMap<String, String> { serde_json::from_value(case[name].clone()).unwrap() };
        let auth = map("authParams").into_iter().map(|(name, value)| (name, value.into())).collect();
        let given = Parameters { metadata: map("metadata"), auth, env: map("resolvedEnv") };
        let mut lookup = Lookup::new(&given, "testScaler");
        let mut values = serde_json::Map::new();
        read_schema(schema, false, &mut lookup, &mut values);
        let findings = lookup.finish();
        let errors = findings.errors.join("\n");
        assert_eq!(errors, case["error"].as_str().unwrap(), "{}", case["test"]);
        if case["verdict"] == "ok" {
            assert_eq!(Json::Object(values), case["parsed"]["params"], "{}", case["test"]);
        }
        ran += 1;
    }
    println!("typed-config: {ran} of {} cases of upstream agree", cases.len());
    assert!(ran + 1 >= cases.len());
}

fn read_schema(
    schema: &[Json],
    optional: bool,
    lookup: &mut Lookup<'_>,
    values: &mut serde_json::Map<String, Json>,
) {
    for item in schema {
        let optional = optional || item["optional"] == true;
        if let Some(nested) = item["nested"].as_array() {
            read_schema(nested, optional, lookup, values);
            continue;
        }
        let declared = declared(item, optional);
        let value = match item["goType"].as_str().unwrap() {
            "string" => lookup.parameter::<String>(&declared).to_json(Secrets::Hidden),
            "int" => lookup.parameter::<i64>(&declared).to_json(Secrets::Hidden),
            "bool" => lookup.parameter::<bool>(&declared).to_json(Secrets::Hidden),
            "float64" => lookup.parameter::<f64>(&declared).to_json(Secrets::Hidden),
            "time.Duration" => lookup.parameter::<Duration>(&declared).to_json(Secrets::Hidden),
            "[]int" => lookup.parameter::<Vec<i64>>(&declared).to_json(Secrets::Hidden),
            "[]string" => lookup.parameter::<Vec<String>>(&declared).to_json(Secrets::Hidden),
            "map[string]int" => lookup.parameter::<BTreeMap<String, i64>>(&declared).to_json(Secrets::Hidden),
            "url.Values" => lookup.parameter::<UrlValues>(&declared).to_json(Secrets::Hidden),
            other => panic!("no type for {other}"),
        };
        values.insert(declared.name().to_owned(), value);
    }
}

/// A declaration of upstream's as ours; leaked, as ours are static.
fn declared(item: &Json, optional: bool) -> Parameter {
    let texts = |name: &str| -> &'static [&'static str] {
        let texts = item[name].as_array().into_iter().flatten();
        texts.map(|text| &*text.as_str().unwrap().to_owned().leak()).collect::<Vec<_>>().leak()
    };
    let text =
        |name: &str| -> Option<&'static str> { item[name].as_str().map(|text| &*text.to_owned().leak()) };
    let from: Vec<_> = texts("order")
        .iter()
        .map(|order| match *order {
            "triggerMetadata" => Origin::Metadata,
            "authParams" => Origin::Auth,
            "resolvedEnv" => Origin::Env,
            other => panic!("no source {other}"),
        })
        .collect();
    Parameter {
        names: texts("names"),
        from: from.leak(),
        optional,
        default: text("default"),
        one_of: texts("enum"),
        exclusive: texts("exclusiveSet"),
        separator: text("separator").unwrap_or(","),
        range: text("rangeSeparator"),
        deprecation: text("deprecated").map(Deprecation::Removed),
        shape: Shape::Text,
        doc: "",
    }
}

#[test]
fn values_are_trimmed_secrets_too() {
    let given = parameters(
        &[("serverURL", " http://a\n"), ("queueLength", "\t7 ")],
        &[("password", " hunter2-and-more\n"), ("username", " jane ")],
    );
    let (config, findings) = read(&given);
    assert!(findings.errors.is_empty(), "{:?}", findings.errors);
    assert_eq!((config.server.as_str(), config.queue_length), ("http://a", 7));
    assert_eq!(
        (config.login.username.as_str(), config.login.password.expose()),
        ("jane", "hunter2-and-more")
    );
    // What is nothing but blanks is not there.
    let (config, _) = read(&parameters(&[("serverURL", "http://a"), ("queueLength", " \n ")], &[]));
    assert_eq!(config.queue_length, 5);
}
