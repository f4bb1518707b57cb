//! Workload identity federation: subject token, STS, impersonation.

use super::*;

const SUBJECT: &str = "system:serviceaccount:keda:keda-operator";
const ACCOUNT: &str = "metrics@shop-1.iam.gserviceaccount.com";

fn external(source: &Value, account: Option<&str>) -> Value {
    let mut json = json!({
        "type": "external_account", "audience": POOL, "token_url": "https://sts.googleapis.com/v1/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source,
    });
    if let Some(account) = account {
        let url = format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        );
        json["service_account_impersonation_url"] = json!(url);
        json["service_account_impersonation"] = json!({ "token_lifetime_seconds": 1800 });
    }
    json
}

/// A folder with the credentials and the subject token.
struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    fn new(account: Option<&str>) -> Self {
        let mounted = Self { folder: tempfile::tempdir().unwrap() };
        mounted.token(&federated_token(SUBJECT, POOL, None));
        mounted.write(&external(&json!({ "file": mounted.token_path() }), account));
        mounted
    }

    fn token_path(&self) -> std::path::PathBuf {
        self.folder.path().join("token")
    }

    fn token(&self, text: &str) {
        std::fs::write(self.token_path(), text).unwrap();
    }

    fn write(&self, credentials: &Value) {
        std::fs::write(self.folder.path().join("credentials.json"), credentials.to_string()).unwrap();
    }

    fn settings(&self) -> Settings {
        with_file(&self.folder.path().join("credentials.json"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_subject_token_becomes_one_of_the_pool() {
    let (google, mounted) = (google(), Mounted::new(None));
    google.subject(SUBJECT);
    let token = default_token(&google, mounted.settings()).await.unwrap();
    let (who, scope) = google.whose(token.secret().expose()).unwrap();
    assert_eq!((who.as_str(), scope.as_str()), (SUBJECT, MONITORING_READ));
    assert_eq!(google.asked(), ["POST https://sts.googleapis.com/v1/token"]);
}

#[tokio::test(start_paused = true)]
async fn the_pool_may_act_as_a_service_account() {
    let (google, mounted) = (google(), Mounted::new(Some(ACCOUNT)));
    google.subject(SUBJECT);
    let error = default_token(&google, mounted.settings()).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::GoogleImpersonationDenied), Kind::Propagating));
    assert!(error.message.contains(&format!("to impersonate {ACCOUNT} as {POOL}")), "{error}");
    google.impersonate(SUBJECT, ACCOUNT);
    let token = default_token(&google, mounted.settings()).await.unwrap();
    let (who, scope) = google.whose(token.secret().expose()).unwrap();
    assert_eq!((who.as_str(), scope.as_str()), (ACCOUNT, MONITORING_READ));
    assert_eq!(token.principal().client_id, ACCOUNT);
    let left = token.expires().duration_since(tokio::time::Instant::now());
    assert_eq!(left, 30 * MINUTE, "as long as the credentials ask for");
}

/// A source of tokens in JSON, as a URL or a file.
#[tokio::test(start_paused = true)]
async fn a_subject_token_may_be_a_field() {
    let (google, mounted) = (google(), Mounted::new(None));
    google.subject(SUBJECT);
    let format = json!({ "type": "json", "subject_token_field_name": "id" });
    mounted.token(&json!({ "id": federated_token(SUBJECT, POOL, None) }).to_string());
    mounted.write(&external(&json!({ "file": mounted.token_path(), "format": format }), None));
    default_token(&google, mounted.settings()).await.unwrap();
    mounted.token("{}");
    let error = default_token(&google, mounted.settings()).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleSubjectToken));
    assert!(error.message.contains("it has no field \"id\""), "{error}");

    let source = json!({ "url": "http://169.254.169.254/computeMetadata/v1/project/project-id",
        "headers": { "Metadata-Flavor": "Google" } });
    google.metadata(true);
    mounted.write(&external(&source, None));
    let error = default_token(&google, mounted.settings()).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleFederationRefused), "what the URL gave was presented: {error}");
    assert!(error.message.contains("a token that says nothing about itself"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_subject_is_shown_as_presented_and_its_token_is_not() {
    let (google, mounted) = (google(), Mounted::new(None));
    let error = default_token(&google, mounted.settings()).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::GoogleFederationRefused), Kind::Propagating));
    for shown in [
        "unauthorized_client: The given credential is rejected by the attribute condition. <hidden>",
        &format!("subject {SUBJECT:?}"),
        &format!("for audience {POOL}"),
    ] {
        assert!(error.message.contains(shown), "{shown}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_supported_or_not_there_is_said() {
    let (google, mounted) = (google(), Mounted::new(None));
    let mut unsafe_url = external(&json!({ "file": "f" }), None);
    unsafe_url["token_url"] = json!("http://sts.example/v1/token");
    for (credentials, why) in [
        (external(&json!({ "environment_id": "aws1" }), None), "a subject token of AWS is not supported"),
        (external(&json!({ "executable": {} }), None), "a subject token from an executable is not supported"),
        (external(&json!({}), None), "its credential_source has neither file nor url"),
        (unsafe_url, "token_url and service_account_impersonation_url must be https addresses"),
        (
            external(&json!({ "file": "/nowhere/token" }), None),
            "cannot read the subject token at /nowhere/token",
        ),
    ] {
        mounted.write(&credentials);
        let error = default_token(&google, mounted.settings()).await.unwrap_err();
        assert!(error.message.contains(why), "{why}: {error}");
        assert!(!error.temporary());
    }
    mounted.write(&external(&json!({ "file": mounted.token_path() }), None));
    mounted.token(" \n");
    let error = default_token(&google, mounted.settings()).await.unwrap_err();
    assert!(error.message.contains("it is empty"), "{error}");
}
