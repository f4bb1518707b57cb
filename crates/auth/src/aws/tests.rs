//! The broker against AWS in memory, hours in seconds.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::aws::{Credentials, Identity, Keys, Provider, Role, Who};
use keda_scaler::{Clock, Code, Error, Kind};

use super::fake::{
    AGENT, AGENT_TOKEN, Answer, Aws, ISSUER, OPERATOR, REGION, SHOP, SUBJECT, service_account_token,
};
use super::*;

mod policy;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// AWS, and a broker in a pod with these variables; a file's text may stand in place of its path.
struct Pod {
    aws: Aws,
    broker: Broker,
    _files: tempfile::TempDir,
}

fn pod(variables: &[(&str, &str)]) -> Pod {
    pod_with(variables, |_| {})
}

fn pod_with(variables: &[(&str, &str)], change: impl Fn(&mut Settings)) -> Pod {
    let clock = Clock::tokio(start());
    let aws = Aws::new(clock);
    let files = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        if name == "AWS_REGION" {
            return Some(REGION.to_owned());
        }
        let (_, value) = variables.iter().find(|(key, _)| *key == name)?;
        if !name.ends_with("_FILE") || value.is_empty() || value.starts_with('/') {
            return Some((*value).to_owned());
        }
        let path = files.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(value.as_bytes()).unwrap();
        Some(path.to_str().unwrap().to_owned())
    };
    let mut settings = Settings::read(read);
    change(&mut settings);
    let broker = Broker::new(settings, Arc::new(aws.clone()), clock);
    Pod { aws, broker, _files: files }
}

/// IRSA: what EKS's webhook injects.
fn irsa(token: &str) -> Vec<(&'static str, String)> {
    vec![("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_owned()), ("AWS_ROLE_ARN", OPERATOR.to_owned())]
}

fn irsa_pod() -> Pod {
    let variables = irsa(&service_account_token(ISSUER, SUBJECT, None));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let pod = pod(&variables);
    pod.aws.trust_subject(OPERATOR, SUBJECT);
    pod
}

fn operator() -> Identity {
    Identity { who: Who::Operator, region: None }
}

fn shop(external_id: Option<&str>, web_identity: bool) -> Identity {
    let external_id = external_id.map(str::to_owned);
    let role = Role { arn: SHOP.into(), external_id, web_identity, tenant: Some("shop".into()) };
    Identity { who: Who::Role(role), region: None }
}

impl Pod {
    async fn ask(&self, identity: &Identity) -> Result<Credentials, Error> {
        self.broker.credentials(identity).await
    }

    async fn failure(&self, identity: &Identity) -> Error {
        self.ask(identity).await.expect_err("there are no credentials")
    }

    fn actions(&self) -> Vec<String> {
        self.aws.sts_requests().iter().map(|form| form["Action"].clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_triggers_cost_one_call_an_hour() {
    let pod = irsa_pod();
    pod.aws.trust_subject(SHOP, SUBJECT);
    let identity = shop(None, true);
    for _ in 0..(4 * 60) {
        let asking = (0..1000).map(|_| pod.ask(&identity));
        assert!(futures::future::join_all(asking).await.iter().all(Result::is_ok));
        tokio::time::sleep(MINUTE).await;
    }
    let asked = pod.aws.sts_requests().len();
    assert!((4..=6).contains(&asked), "{asked} requests in four hours");
    assert_eq!(pod.broker.counters().given, 240_000);
    let form = &pod.aws.sts_requests()[0];
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    let expected = ["Action", "DurationSeconds", "RoleArn", "RoleSessionName", "Version", "WebIdentityToken"];
    assert_eq!(names, expected);
    assert_eq!((form["RoleArn"].as_str(), form["RoleSessionName"].as_str()), (SHOP, "KEDA"));
    assert_eq!(pod.aws.hosts(), ["sts.eu-west-1.amazonaws.com"]);
}

/// auth.md 4.2, 9.14: the web identity first, then the operator's own credentials; asked anew each time, so a trust that comes later counts.
#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_by_either_way() {
    let pod = irsa_pod();
    pod.aws.trust_role(SHOP, OPERATOR, Some("shop-1"));
    pod.aws.lifetime(MINUTE * 30);
    pod.ask(&shop(Some("shop-1"), true)).await.unwrap();
    assert_eq!(pod.actions(), ["AssumeRoleWithWebIdentity", "AssumeRoleWithWebIdentity", "AssumeRole"]);
    let forms = pod.aws.sts_requests();
    assert_eq!((forms[1]["RoleArn"].as_str(), forms[2]["ExternalId"].as_str()), (OPERATOR, "shop-1"));
    assert_eq!(pod.aws.signed(), 1);
    pod.aws.trust_subject(SHOP, SUBJECT);
    tokio::time::sleep(MINUTE * 31).await;
    let before = pod.actions().len();
    pod.ask(&shop(Some("shop-1"), true)).await.unwrap();
    assert_eq!(pod.actions()[before..], ["AssumeRoleWithWebIdentity"]);
    // The deprecated ways present no token.
    let before = pod.actions().len();
    pod.aws.trust_role(SHOP, OPERATOR, None);
    pod.ask(&shop(None, false)).await.unwrap();
    assert!(pod.actions()[before..].ends_with(&["AssumeRole".to_owned()]), "{:?}", pod.actions());
}

#[tokio::test(start_paused = true)]
async fn credentials_in_hand_outlive_every_failure() {
    let pod = irsa_pod();
    let first = pod.ask(&operator()).await.unwrap();
    pod.aws.always(Some(Answer::Unreachable("connection refused")));
    for _ in 0..59 {
        assert_eq!(pod.ask(&operator()).await.unwrap().access_key_id, first.access_key_id);
        tokio::time::sleep(MINUTE).await;
    }
    tokio::time::sleep(MINUTE * 2).await;
    let error = pod.failure(&operator()).await;
    assert_eq!((error.kind, error.code), (Kind::Unreachable, Some(Code::AwsUnreachable)));
    assert!(error.temporary() && error.message.contains("sts.eu-west-1.amazonaws.com"), "{error}");
    let asked = pod.aws.sts_requests().len();
    for _ in 0..100 {
        pod.failure(&operator()).await;
    }
    assert_eq!(pod.aws.sts_requests().len(), asked, "a failure is given until the next try");
    pod.aws.always(None);
    tokio::time::sleep(MINUTE).await;
    assert!(pod.ask(&operator()).await.is_ok(), "it works without a restart");
}

#[tokio::test(start_paused = true)]
async fn the_operator_is_who_its_pod_says() {
    // Keys in the environment need nobody.
    let pod_ = pod(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_SESSION_TOKEN", "t0ken"),
    ]);
    let credentials = pod_.ask(&operator()).await.unwrap();
    assert_eq!((credentials.access_key_id.as_str(), credentials.expires), ("AKID", None));
    assert!(pod_.broker.renew(&operator(), &credentials).await.unwrap().is_none());
    assert_eq!(pod_.aws.hosts(), [""; 0]);

    // EKS Pod Identity.
    let pod_ = pod(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AGENT),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AGENT_TOKEN),
    ]);
    pod_.aws.pod_identity(Some(OPERATOR));
    let credentials = pod_.ask(&operator()).await.unwrap();
    assert_eq!(credentials.principal, "the operator's EKS Pod Identity");
    assert_eq!(pod_.aws.hosts(), ["169.254.170.23"]);
    pod_.aws.trust_role(SHOP, OPERATOR, Some("shop-1"));
    assert_eq!(pod_.ask(&shop(Some("shop-1"), true)).await.unwrap().principal, format!("role {SHOP}"));

    // The node.
    let pod_ = pod(&[]);
    pod_.aws.instance_profile(Some(OPERATOR));
    let credentials = pod_.ask(&operator()).await.unwrap();
    assert_eq!(credentials.principal, "the node's role keda-operator");
    assert_eq!(pod_.aws.hosts(), ["169.254.169.254"]);
}

/// Each way to nothing says which one it was, and what to do.
#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said() {
    let token = |issuer: &str, subject: &str, expires| service_account_token(issuer, subject, expires);
    let good = token(ISSUER, SUBJECT, None);
    let elsewhere = token("https://oidc.example/other", SUBJECT, None);
    let old = token(ISSUER, SUBJECT, Some(start().as_second() - 1));
    let role = ("AWS_ROLE_ARN", OPERATOR);
    let file = |text| ("AWS_WEB_IDENTITY_TOKEN_FILE", text);
    let agent = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AGENT);
    for (variables, code, part) in [
        (vec![], Code::AwsIdentityMissing, "the instance metadata service does not answer"),
        (
            vec![("AWS_EC2_METADATA_DISABLED", "true")],
            Code::AwsIdentityMissing,
            "AWS_EC2_METADATA_DISABLED is",
        ),
        (vec![file(good.as_str())], Code::AwsIdentityMissing, "AWS_ROLE_ARN is not"),
        (vec![file("/nowhere"), role], Code::AwsTokenFile, "/nowhere: No such file"),
        (vec![file("no token"), role], Code::AwsTokenFile, "it holds no JSON web token"),
        (vec![file(old.as_str()), role], Code::AwsTokenFile, "it expired at 2026-11-24T09:59:59Z"),
        (vec![file(elsewhere.as_str()), role], Code::AwsWebIdentityRefused, "associate-iam-oidc-provider"),
        (
            vec![file(good.as_str()), role],
            Code::AwsWebIdentityDenied,
            "\"Federated\":\"arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF\"",
        ),
        (
            vec![file(good.as_str()), role],
            Code::AwsWebIdentityDenied,
            "id/ABCDEF:sub\":\"system:serviceaccount:keda:keda-operator\"",
        ),
        (vec![agent], Code::AwsContainerCredentials, "status 400 Service account token cannot be empty"),
        (
            vec![agent, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", AGENT_TOKEN)],
            Code::AwsContainerCredentials,
            "no association",
        ),
        (
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23.evil.example/"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", AGENT_TOKEN),
            ],
            Code::AwsContainerCredentials,
            "neither https nor an address of this node",
        ),
    ] {
        let pod = pod(&variables);
        let error = pod.failure(&operator()).await;
        assert_eq!(error.code, Some(code), "{error}");
        assert!(error.message.contains(part), "{error}");
        // Nor the part of a token that is its signature.
        assert!(
            !error.message.contains("s3cret") && !error.message.contains("czNjcmV0LXNpZ25hdHVyZQ"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_does_not_trust_says_the_statement() {
    let pod = irsa_pod();
    let error = pod.failure(&shop(Some("shop-1"), false)).await;
    assert_eq!((error.kind, error.code), (Kind::Auth, Some(Code::AwsAssumeRoleDenied)));
    let statement = "[aws-assume-role-denied]; the role's trust policy needs {\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\
                     \"arn:aws:iam::111122223333:role/keda-operator\"},\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":\
                     {\"sts:ExternalId\":\"shop-1\"}}}";
    assert!(error.message.ends_with(statement), "{error}");
    // Both ways were tried: both refusals stand there.
    let error = pod.failure(&shop(None, true)).await;
    assert_eq!(error.code, Some(Code::AwsAssumeRoleDenied));
    assert!(error.message.contains("before that, its web identity: AccessDenied: Not authorized"), "{error}");
    // A trust that is made counts within a minute, without a restart.
    pod.aws.trust_role(SHOP, OPERATOR, None);
    tokio::time::sleep(MINUTE + MINUTE / 4).await;
    pod.ask(&shop(None, true)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stss_trouble_is_temporary_and_told_from_refusals() {
    for (answer, code, temporary) in [
        (Answer::Refuses(400, "Throttling"), Code::AwsThrottled, true),
        (Answer::Refuses(503, ""), Code::AwsFailing, true),
        (Answer::Refuses(400, "IDPCommunicationError"), Code::AwsWebIdentityRefused, true),
        (Answer::Refuses(403, "RegionDisabledException"), Code::AwsStsRefused, false),
        (Answer::Refuses(403, "RequestExpired"), Code::AwsClockSkew, false),
    ] {
        let pod = irsa_pod();
        pod.aws.always(Some(answer));
        let error = pod.failure(&operator()).await;
        assert_eq!((error.code, error.temporary()), (Some(code), temporary), "{error}");
    }
    // One hiccup is not even seen.
    let pod = irsa_pod();
    pod.aws.then([Answer::Refuses(503, "")]);
    pod.ask(&operator()).await.unwrap();
    // Silence is bounded by who waits, and the question goes on.
    let pod = irsa_pod();
    pod.aws.then([Answer::Silent]);
    assert!(tokio::time::timeout(MINUTE, pod.ask(&operator())).await.is_err());
}

/// The operator's session was revoked: a role's renewal meets that, renews the operator's, and goes on.
#[tokio::test(start_paused = true)]
async fn revoked_sessions_are_replaced_once() {
    let pod = irsa_pod();
    pod.aws.trust_role(SHOP, OPERATOR, None);
    let first = pod.ask(&shop(None, false)).await.unwrap();
    pod.aws.revoke();
    let newer = pod.broker.renew(&shop(None, false), &first).await.unwrap().expect("a newer one");
    assert_ne!(newer.session_token, None);
    assert_eq!(pod.actions()[2..], ["AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRole"]);
    // A service that refuses everything does not make STS busy.
    assert!(pod.broker.renew(&shop(None, false), &newer).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn settings_print_no_secret() {
    let pod = pod(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret-key"),
        ("AWS_SESSION_TOKEN", "s3cret-session"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AGENT),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", AGENT_TOKEN),
    ]);
    let credentials = pod.ask(&operator()).await.unwrap();
    let printed = format!("{:?} {credentials:?}", pod.broker);
    assert!(printed.contains("AKID") && !printed.contains("s3cret"), "{printed}");
    let keys = Keys { id: "A".into(), secret: "s3cret".into(), session_token: None };
    assert!(!format!("{:?}", Who::Keys(keys)).contains("s3cret"));
}
