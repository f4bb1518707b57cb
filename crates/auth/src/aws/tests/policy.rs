//! The external id of a namespace (`--aws-external-id`), upstream's 7662.

use super::*;

fn tenant(arn: &str, external_id: Option<&str>, tenant: Option<&str>) -> Identity {
    let role = Role {
        arn: arn.into(),
        external_id: external_id.map(str::to_owned),
        web_identity: true,
        tenant: tenant.map(str::to_owned),
    };
    Identity { who: Who::Role(role), region: None }
}

fn strict() -> Pod {
    let token = service_account_token(ISSUER, SUBJECT, None);
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()), ("AWS_ROLE_ARN", OPERATOR)];
    let pod = pod_with(&variables, |settings| settings.external_id = Some("prod/{namespace}".to_owned()));
    pod.aws.trust_subject(OPERATOR, SUBJECT);
    pod
}

/// The role of one tenant trusts the operator for that tenant only: another namespace cannot use it, whatever it writes.
#[tokio::test(start_paused = true)]
async fn a_namespace_assumes_roles_with_its_own_external_id_only_7662() {
    let pod = strict();
    pod.aws.trust_role(SHOP, OPERATOR, Some("prod/shop"));
    // The token carries no external id: with the policy it is not presented, although the role would take it.
    pod.aws.trust_subject(SHOP, SUBJECT);
    for given in [None, Some("prod/shop")] {
        pod.ask(&tenant(SHOP, given, Some("shop"))).await.unwrap();
    }
    let forms = pod.aws.sts_requests();
    let assumed: Vec<_> = forms.iter().filter(|form| form["RoleArn"] == SHOP).collect();
    assert_eq!(assumed.len(), 1, "one identity");
    assert_eq!(assumed[0]["ExternalId"], "prod/shop");

    let error = pod.failure(&tenant(SHOP, Some("prod/shop"), Some("evil"))).await;
    assert_eq!(error.code, Some(Code::AwsExternalId));
    assert!(error.message.contains("\"prod/evil\""), "{error}");
    let error = pod.failure(&tenant(SHOP, None, Some("evil"))).await;
    assert_eq!(error.code, Some(Code::AwsAssumeRoleDenied), "{error}");

    // What the cluster's administrators wrote is theirs.
    pod.aws.trust_role(SHOP, OPERATOR, Some("free"));
    pod.ask(&tenant(SHOP, Some("free"), None)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_role_has_to_be_one() {
    let error = irsa_pod().failure(&tenant("shop", None, Some("shop"))).await;
    assert_eq!((error.kind, error.code), (Kind::Config, Some(Code::AwsRole)));
    assert!(error.message.starts_with("\"shop\" is no ARN of a role"), "{error}");
}

/// auth.md 4.4: STS of the region that is asked for; without any, that is said.
#[tokio::test(start_paused = true)]
async fn stss_region_is_the_triggers() {
    let pod = irsa_pod();
    pod.aws.trust_subject(SHOP, SUBJECT);
    let mut identity = shop(None, true);
    identity.region = Some("ap-southeast-2".into());
    pod.ask(&identity).await.unwrap();
    assert_eq!(pod.aws.hosts(), ["sts.ap-southeast-2.amazonaws.com"]);
    let nowhere = pod_with(&[], |settings| settings.defaults = keda_scaler::aws::Defaults::default());
    let error = nowhere.failure(&shop(None, true)).await;
    assert_eq!((error.kind, error.code), (Kind::Config, Some(Code::AwsRegion)));
}

#[test]
fn a_template_tells_namespaces_apart() {
    assert_eq!(external_id("prod/{namespace}").as_deref(), Ok("prod/{namespace}"));
    for (text, why) in [("prod", "must hold {namespace}"), ("{namespace} x", "letters, digits and _+=,.@:/-")]
    {
        assert!(external_id(text).unwrap_err().contains(why), "{text}");
    }
}
