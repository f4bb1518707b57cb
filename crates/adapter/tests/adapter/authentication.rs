use crate::{
    api::Api,
    operator::Say,
    stage::{Stage, path_of, until},
};

/// User and groups of the last SubjectAccessReview.
fn seen(api: &Api) -> (String, Vec<String>) {
    let spec = api.access_reviews().pop().unwrap().spec;
    (spec.user.unwrap_or_default(), spec.groups.unwrap_or_default())
}

async fn stage() -> (Stage, crate::operator::Operator) {
    let (stage, operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    (stage, operator)
}

#[tokio::test]
async fn a_front_proxy_speaks_for_users() {
    let (stage, _operator) = stage().await;
    let caller = stage
        .through_proxy("ann")
        .with("X-Remote-Uid", "7")
        .with("X-Remote-Group", "team")
        .with("X-Remote-Extra-Scopes", "read");
    assert_eq!(caller.get(&path_of("m")).await.value(), "1");
    assert_eq!(
        seen(&stage.api),
        ("ann".to_owned(), vec!["team".to_owned(), "system:authenticated".to_owned()])
    );
    let spec = stage.api.access_reviews().pop().unwrap().spec;
    assert_eq!(spec.uid.as_deref(), Some("7"));
    assert_eq!(spec.extra.unwrap()["scopes"], ["read"]);
}

#[tokio::test]
async fn nobody_else_speaks_for_users() {
    let (stage, _operator) = stage().await;
    stage.api.allows(|review| review.spec.user.as_deref() != Some("system:anonymous"));
    let headers = |caller: crate::caller::Caller| {
        caller.with("X-Remote-User", "admin").with("X-Remote-Group", "system:masters")
    };
    // Without a certificate: the headers are nothing.
    assert_eq!(headers(stage.anybody()).get(&path_of("m")).await.error().0, 403);
    // A certificate of the right CA with a name that is not allowed; one of KEDA's own CA; a user's.
    let wrong_name = stage.api.front_proxy("somebody");
    assert_eq!(headers(stage.with_certificate(wrong_name)).get(&path_of("m")).await.error().0, 401);
    let ours = (stage.bundle.cert.clone(), stage.bundle.key.clone());
    assert_eq!(headers(stage.with_certificate(ours)).get(&path_of("m")).await.error().0, 401);
    let user = stage.api.user("bob", "team");
    assert_eq!(headers(stage.with_certificate(user)).get(&path_of("m")).await.value(), "1");
    assert_eq!(seen(&stage.api).0, "bob");
}

#[tokio::test]
async fn client_certificates_are_users() {
    let (stage, _operator) = stage().await;
    let caller = stage.with_certificate(stage.api.user("bob", "team"));
    assert_eq!(caller.get(&path_of("m")).await.value(), "1");
    assert_eq!(
        seen(&stage.api),
        ("bob".to_owned(), vec!["team".to_owned(), "system:authenticated".to_owned()])
    );

    let reviews = stage.api.access_reviews().len();
    let master = stage.with_certificate(stage.api.user("root", "system:masters"));
    assert_eq!(master.get(&path_of("m")).await.value(), "1");
    assert_eq!(stage.api.access_reviews().len(), reviews);
}

#[tokio::test]
async fn a_client_ca_file_replaces_the_clusters() {
    let (stage, _operator) =
        Stage::up_with(|options| options.client_ca_file = Some(options.cert_dir.join("ca.crt"))).await;
    stage.script.say("m", Say::Value("1"));
    let ours = stage.with_certificate((stage.bundle.cert.clone(), stage.bundle.key.clone()));
    assert_eq!(ours.get(&path_of("m")).await.value(), "1");
    assert_eq!(seen(&stage.api).0, "localhost", "the certificate's common name");
    let theirs = stage.with_certificate(stage.api.user("bob", "team"));
    assert_eq!(theirs.get(&path_of("m")).await.error(), (401, "Unauthorized".to_owned()));
    // The front proxy is still the cluster's.
    assert_eq!(stage.hpa().get(&path_of("m")).await.value(), "1");
}

#[tokio::test]
async fn tokens_are_reviewed_once_in_a_while() {
    let (stage, _operator) = stage().await;
    stage.api.knows_token("secret", "system:serviceaccount:ns:sa");
    let caller = stage.anybody().with("Authorization", "Bearer secret");
    let many = (0..8).map(|_| {
        let caller = caller.clone();
        async move { caller.get(&path_of("m")).await.value() }
    });
    let values = futures::future::join_all(many).await;
    assert!(values.iter().all(|value| value == "1"));
    assert_eq!(stage.api.token_reviews(), ["secret"]);
    assert_eq!(seen(&stage.api).0, "system:serviceaccount:ns:sa");

    let stranger = stage.anybody().with("Authorization", "Bearer wrong");
    for _ in 0..3 {
        assert_eq!(stranger.get(&path_of("m")).await.error().0, 401);
    }
    assert_eq!(stage.api.token_reviews().len(), 2, "a refusal is kept too");
    assert!(!stage.registry.render().contains("secret"));
}

#[tokio::test]
async fn cached_tokens_expire() {
    let ttl = std::time::Duration::from_millis(50);
    let (stage, _operator) = Stage::up_with(|options| options.token_cache_ttl = ttl).await;
    stage.script.say("m", Say::Value("1"));
    stage.api.knows_token("secret", "sa");
    let caller = stage.anybody().with("Authorization", "Bearer secret");
    caller.get(&path_of("m")).await.value();
    tokio::time::sleep(ttl * 2).await;
    caller.get(&path_of("m")).await.value();
    assert_eq!(stage.api.token_reviews().len(), 2);
}

#[tokio::test]
async fn a_changed_configmap_reaches_open_connections() {
    let (stage, _operator) = stage().await;
    stage.api.allows(|review| review.spec.user.as_deref() == Some("ann"));
    let pair = stage.api.front_proxy("new-name");
    let kept = stage.with_certificate(pair).with("X-Remote-User", "ann").keep().await;
    assert_eq!(kept.get(&path_of("m")).await.error().0, 401);
    stage.api.says_how_it_authenticates(&["new-name"]);
    until("accepted", || async { kept.get(&path_of("m")).await.status == 200 }).await;
}
