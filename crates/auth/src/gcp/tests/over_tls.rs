//! The token endpoint behind a real socket, with a certificate of its own CA.

use keda_scaler::http::{Client, Settings as HttpSettings};

use super::*;
use crate::over_tls::serve;

#[tokio::test]
async fn a_key_is_shown_over_verified_tls_only() {
    let google = google();
    let (port, ca) = serve(google.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut json = key("key-1");
    json["token_uri"] = json!(format!("https://localhost:{port}/token"));
    let ask = async |json: &Value| {
        let mut settings = HttpSettings::default();
        settings.ca_dirs = vec![folder.path().to_owned()];
        let client = Arc::new(Client::new(settings));
        Broker::new(super::settings(), client, Clock::tokio(start())).token(&by_key(json)).await
    };
    let error = ask(&json).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleUnreachable), "{error}");
    assert!(error.message.contains("UnknownIssuer") && google.asked().is_empty(), "{error}");

    std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
    let token = ask(&json).await.unwrap();
    assert_eq!(token.principal().client_id, "shop@shop-1.iam.gserviceaccount.com");
    assert_eq!(google.asked(), [format!("POST https://localhost:{port}/token")]);
}
