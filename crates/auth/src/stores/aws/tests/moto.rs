//! The same against `moto`, a server that speaks AWS's protocols and verifies signatures with botocore. `crates/auth/tests/moto` starts it and
//! runs this; without it there is nothing to ask.

use keda_scaler::aws::Provider as _;
use keda_scaler::http::{Client, Settings as HttpSettings};

use super::*;

#[tokio::test]
async fn moto_agrees() {
    let Ok(text) = std::env::var("KEDA_MOTO") else {
        eprintln!("skipped: crates/auth/tests/moto starts the server that this asks");
        return;
    };
    let given: Value = serde_json::from_str(&text).unwrap();
    let field = |name: &str| given[name].as_str().unwrap().to_owned();
    let variable = |name: &str| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        "AWS_ENDPOINT_URL" => Some(field("url")),
        "AWS_ACCESS_KEY_ID" => Some(field("id")),
        "AWS_SECRET_ACCESS_KEY" => Some(field("secret")),
        _ => None,
    };
    let http = Arc::new(Client::new(HttpSettings::default()));
    let broker = Arc::new(Broker::new(Settings::read(variable), http.clone(), Clock::system()));
    let kube = Arc::new(Memory::default());
    let stores = Stores::new(http, broker.clone(), kube, Clock::system(), VaultSettings::default());

    let role = |external_id: Option<&str>| Role {
        arn: field("role"),
        external_id: external_id.map(str::to_owned),
        web_identity: true,
        tenant: None,
    };
    let identity = Identity { who: Who::Role(role(Some("shop/1 ä"))), region: None };
    let session = broker.credentials(&identity).await.unwrap();
    assert!(session.session_token.is_some() && session.expires.is_some(), "{session:?}");

    let asked = async |store: Value| {
        let of = |id: &str, secret: &str| {
            [("id", id.to_owned().into_bytes()), ("key", secret.to_owned().into_bytes())]
        };
        let good = of(&field("id"), &field("secret"));
        let bad = of(&field("id"), "another-key");
        let borrowed = |pairs: &'static str, all: &[(&'static str, Vec<u8>); 2]| (pairs, all.clone());
        let mut cluster = Memory::default().authentication("shop/auth", json!({ "awsSecretManager": store }));
        for (name, pairs) in [borrowed("shop/aws", &good), borrowed("shop/wrong", &bad)] {
            let data: Vec<(&str, &[u8])> =
                pairs.iter().map(|(key, value)| (*key, value.as_slice())).collect();
            cluster = cluster.secret(name, &data);
        }
        let scope = Scope { namespace: "shop".to_owned(), stores: stores.clone(), ..Scope::default() };
        let reference = AuthenticationRef { name: "auth".to_owned(), kind: None };
        let resolved =
            resolve(Some(&reference), &scope, &cluster).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(
            resolved.params.into_iter().map(|(name, it)| (name, it.expose().to_owned())).collect::<Vec<_>>(),
        )
    };
    let credentials = |from: &str| {
        let of = |key: &str| json!({ "valueFrom": { "secretKeyRef": { "name": from, "key": key } } });
        json!({ "accessKey": of("id"), "accessSecretKey": of("key") })
    };
    let secrets = json!([
        { "parameter": "now", "name": field("name"), "secretKey": "password" },
        { "parameter": "before", "name": field("name"), "secretKey": "password", "versionStage": "AWSPREVIOUS" },
        { "parameter": "pinned", "name": field("name"), "secretKey": "password", "versionId": field("version") },
    ]);
    let expected = [("before", "s3cret-old"), ("now", "s3cret-new"), ("pinned", "s3cret-old")];
    let expected: Vec<_> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let by_keys = json!({ "region": REGION, "credentials": credentials("aws"), "secrets": secrets });
    assert_eq!(asked(by_keys).await.as_ref(), Ok(&expected));
    let by_role = json!({ "secrets": secrets, "podIdentity": { "provider": "aws", "roleArn": field("role"), "externalID": "shop-1" } });
    assert_eq!(asked(by_role).await.as_ref(), Ok(&expected));

    // What is wrong is told by the real verifier, and known here.
    let wrong = json!({ "region": REGION, "credentials": credentials("wrong"), "secrets": secrets });
    let error = asked(wrong).await.unwrap_err();
    assert!(error.contains("[aws-keys-refused]"), "{error}");
    let denied = json!({ "region": REGION, "credentials": credentials("aws"), "secrets": [{ "parameter": "p", "name": "other" }] });
    let error = asked(denied).await.unwrap_err();
    assert!(error.contains("[aws-secret]") || error.contains("[aws-forbidden]"), "{error}");
    eprintln!("moto agrees: AssumeRole, GetSecretValue by keys and by role, two refusals");
}
