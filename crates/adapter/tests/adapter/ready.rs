//! When the adapter says that it is ready, and when it does not (upstream issues 7575, 4862).

use std::time::Duration;

use keda_adapter::Options;

use crate::{
    api::Api,
    stage::{Stage, bundle, until},
};

/// The lines of failing checks.
async fn failing(stage: &Stage) -> Vec<String> {
    let reply = stage.anybody().get("/readyz").await;
    reply.text.lines().filter(|line| line.starts_with("[-]")).map(str::to_owned).collect()
}

async fn listens(stage: &Stage) {
    until("listens", || async { stage.anybody().connect(b"http/1.1").await.is_ok() }).await;
}

#[tokio::test]
async fn not_ready_before_the_operator_was_reached() {
    let stage = Stage::without_operator(Api::new(), |_| {}).await;
    listens(&stage).await;
    assert_eq!(stage.anybody().get("/livez").await.status, 200, "alive all the same");
    until("the reason is there", || async {
        let lines = failing(&stage).await;
        lines.len() == 1
            && lines[0]
                .starts_with("[-]operator failed: the operator was never reached: connect to localhost:")
    })
    .await;
    let _operator = stage.start_operator();
    stage.becomes_ready().await;
}

#[tokio::test]
async fn not_ready_once_the_operator_is_away_for_too_long_7575() {
    let grace = Duration::from_millis(300);
    let (stage, operator) = Stage::up_with(|options| options.operator_grace = grace).await;
    drop(operator);
    until("not ready", || async {
        failing(&stage)
            .await
            .iter()
            .any(|line| line.starts_with("[-]operator failed: the operator is away for"))
    })
    .await;
    let _operator = stage.start_operator();
    stage.becomes_ready().await;
}

#[tokio::test]
async fn not_ready_before_it_knows_how_to_authenticate() {
    let api = Api::new();
    api.says_nothing_about_authentication();
    let stage = Stage::without_operator(api, |_| {}).await;
    let _operator = stage.start_operator();
    listens(&stage).await;
    let missing =
        "[-]authentication failed: configmap kube-system/extension-apiserver-authentication: does not exist";
    until("says so", || async { failing(&stage).await == [missing] }).await;
    stage.api.says_how_it_authenticates(&[]);
    stage.becomes_ready().await;
}

#[tokio::test]
async fn the_lookup_can_be_skipped_or_tolerated() {
    fn skip(options: &mut Options) {
        options.authentication_skip_lookup = true;
    }
    fn tolerate(options: &mut Options) {
        options.authentication_tolerate_lookup_failure = true;
    }
    for adjust in [skip, tolerate] {
        let api = Api::new();
        api.says_nothing_about_authentication();
        let stage = Stage::without_operator(api, adjust).await;
        let _operator = stage.start_operator();
        stage.becomes_ready().await;
    }
}

#[tokio::test]
async fn certificates_may_come_late_and_change() {
    let stage = Stage::without_operator(Api::new(), |_| {}).await;
    let _operator = stage.start_operator();
    stage.becomes_ready().await;
    let next = bundle();
    next.write_to(stage.folder.path()).unwrap();
    // The caller still trusts the first CA only, so its refusal says that the new certificate is served.
    until("the new certificate is served", || async { stage.anybody().connect(b"http/1.1").await.is_err() })
        .await;
}

#[tokio::test]
async fn a_certificate_of_its_own_without_files() {
    let stage = Stage::without_operator(Api::new(), |options| {
        options.tls_cert_file = None;
        options.tls_private_key_file = None;
    })
    .await;
    let pair = [stage.folder.path().join("apiserver.crt"), stage.folder.path().join("apiserver.key")];
    until("kept in the folder", || async { pair.iter().all(|file| file.exists()) }).await;
}

#[tokio::test]
async fn half_a_pair_is_refused() {
    let mut stage = Stage::without_operator(Api::new(), |options| options.tls_private_key_file = None).await;
    let error = (&mut stage.running).await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "--tls-cert-file and --tls-private-key-file must be given together");
}

#[tokio::test]
async fn it_ends_when_told() {
    let (mut stage, _operator) = Stage::up().await;
    let kept = stage.anybody().keep().await;
    assert_eq!(kept.get("/livez").await.status, 200);
    stage.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(3), &mut stage.running).await;
    ended.expect("open connections are told to go").unwrap().unwrap();
    assert!(stage.anybody().connect(b"http/1.1").await.is_err());
}
