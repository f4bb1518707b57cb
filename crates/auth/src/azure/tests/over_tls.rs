//! The same login host behind a real socket, with a certificate of its own CA.

use keda_scaler::http::{Client, Settings as HttpSettings};

use super::*;
use crate::over_tls::serve;

async fn ask(port: u16, ca_dir: &std::path::Path) -> Result<Token, Error> {
    let mut settings = HttpSettings::default();
    settings.ca_dirs = vec![ca_dir.to_owned()];
    let authority = Some(format!("https://localhost:{port}/"));
    let identity = Settings { authority_host: authority, ..by_annotations() };
    let client = Arc::new(Client::new(settings));
    let broker = Broker::new(identity, client, Arc::new(cluster()), Clock::tokio(start()));
    token(&broker).await
}

#[tokio::test]
async fn folders_of_cas_count_for_login_hosts_and_others_are_told_from_it() {
    let azure = federated();
    let (port, ca) = serve(azure.clone()).await;
    let folder = tempfile::tempdir().unwrap();

    let error = ask(port, folder.path()).await.expect_err("nobody knows the CA");
    assert_eq!(error.code, Some(Code::AzureUnknownCa), "{error}");
    assert!(error.message.contains("UnknownIssuer"), "{error}");
    assert!(azure.token_requests().is_empty(), "nothing is sent to who is not believed");

    std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
    let token = ask(port, folder.path()).await.expect("a token");
    assert_eq!(token.principal().object_id.as_deref(), Some(super::super::fake::OBJECT));

    azure.always(Some(Answer::Throttles(7)));
    let error = ask(port, folder.path()).await.expect_err("throttled");
    assert_eq!(error.code, Some(Code::AzureThrottled), "{error}");

    let error = ask(1, folder.path()).await.expect_err("nobody listens there");
    assert_eq!(error.code, Some(Code::AzureLoginUnreachable), "{error}");
}
