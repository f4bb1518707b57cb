//! The metadata server of GCE and GKE: who the pod is, and its tokens.
//!
//! On GKE with workload identity a server on the node answers for the pod's ServiceAccount, and what it cannot get from IAM it
//! says in IAM's words.

use std::sync::atomic::Ordering;

use keda_scaler::http::{HeaderValue, Request, Response, query_escape};
use keda_scaler::identity::Token;
use keda_scaler::{Code, Kind};
use tokio::time::Instant;

use super::broker::Google;
use super::exchange::{UNSAID, issued, without_token};
use crate::answer::{Refusal, granted, quoted, retry_after};
use crate::broker::Issued;
use crate::problem::{Class, Problem};

/// Where the metadata server is; its name may not resolve where its address answers.
const HOST: &str = "169.254.169.254";

/// What marks both a request to it and its answers.
const FLAVOR: &str = "metadata-flavor";

const ACCOUNT: &str = "instance/service-accounts/default";

impl Google {
    fn metadata_host(&self) -> &str {
        self.settings.metadata_host.as_deref().unwrap_or(HOST)
    }

    /// A token of the pod's, or the node's, identity.
    pub(super) async fn by_metadata(&self, scope: &str) -> Result<Issued<Token>, Problem> {
        let started = Instant::now();
        let response = self.metadata(&format!("{ACCOUNT}/token?scopes={}", query_escape(scope))).await?;
        if !response.status.is_success() {
            return Err(self.refused_by_metadata(&response).await);
        }
        let host = format!("the metadata server {}", self.metadata_host());
        let granted = granted(&response).map_err(|why| without_token(&host, why))?;
        let email = self.email().await.unwrap_or_else(|| "the pod's identity".to_owned());
        Ok(issued(granted.token, granted.lifetime.unwrap_or(UNSAID), started, email))
    }

    /// The project of the cluster, or of the machine.
    pub(super) async fn metadata_project(&self) -> Result<String, Problem> {
        let response = self.metadata("project/project-id").await?;
        let project = line(&response);
        project.ok_or_else(|| {
            let text = format!("the metadata server {} names no project", self.metadata_host());
            let advice = "set CLOUDSDK_CORE_PROJECT on the operator";
            Problem::new(Kind::Auth, Code::GoogleNoCredentials, Class::Local, text, advice)
        })
    }

    /// Whom the metadata server speaks for. Only for texts.
    async fn email(&self) -> Option<String> {
        line(&self.metadata(&format!("{ACCOUNT}/email")).await.ok()?)
    }

    async fn metadata(&self, path: &str) -> Result<Response, Problem> {
        let host = self.metadata_host();
        let none = |why: String, class| {
            let advice = "on GKE enable workload identity; elsewhere set GOOGLE_APPLICATION_CREDENTIALS to a file with a \
                          service account's key or a workload identity federation; a proxy must not be used for it (NO_PROXY)";
            let text = format!(
                "no google application default credentials: GOOGLE_APPLICATION_CREDENTIALS is not set, and {why}"
            );
            Problem::new(Kind::Unreachable, Code::GoogleNoCredentials, class, text, advice)
        };
        let mut request = Request::get(format!("http://{host}/computeMetadata/v1/{path}"));
        request.headers.insert(FLAVOR, HeaderValue::from_static("Google"));
        request.timeout = self.settings.timeout;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let response = self.transport.send(request).await.map_err(|error| {
            let why = format!("there is no metadata server: {}", quoted(&error.to_string()));
            none(why, Class::Temporary { wait: None })
        })?;
        // Other clouds have something else at this address.
        match response.headers.get(FLAVOR).is_some_and(|value| value == "Google") {
            true => Ok(response),
            false => {
                Err(none(format!("what answers at {host} is not Google's metadata server"), Class::Local))
            }
        }
    }

    async fn refused_by_metadata(&self, response: &Response) -> Problem {
        let status = response.status.as_u16();
        let words = Refusal::of(response).shown(&[]);
        let said =
            format!("the metadata server {} answered with status {status}: {words}", self.metadata_host());
        let of_iam =
            words.contains("iam.serviceAccounts.getAccessToken") || words.contains("PermissionDenied");
        if of_iam || status == 403 {
            let email = self.email().await.unwrap_or_else(|| "EMAIL".to_owned());
            let project = self.metadata_project().await.unwrap_or_else(|_| "PROJECT".to_owned());
            let account = self.settings.service_account.as_ref();
            let account = account.map(|account| format!("{}/{}", account.namespace, account.name));
            let account = account.unwrap_or_else(|| "keda/keda-operator".to_owned());
            let advice = format!(
                "gcloud iam service-accounts add-iam-policy-binding {email} --role roles/iam.workloadIdentityUser --member \
                 \"serviceAccount:{project}.svc.id.goog[{account}]\""
            );
            return Problem::new(
                Kind::Auth,
                Code::GoogleImpersonationDenied,
                Class::Propagation,
                format!("{said}; ServiceAccount {account} may not act as {email}"),
                advice,
            );
        }
        if status == 404 {
            let advice = "give the node pool a service account, or enable workload identity";
            let text = format!("{said}; there is no service account here");
            return Problem::new(Kind::Auth, Code::GoogleNoCredentials, Class::Local, text, advice);
        }
        let class = match status {
            429 | 500.. => Class::Temporary { wait: retry_after(&response.headers) },
            _ => Class::Wrong,
        };
        Problem::new(Kind::Unreachable, Code::GoogleFailing, class, said, "")
    }
}

/// A good answer of one line.
fn line(response: &Response) -> Option<String> {
    let text = String::from_utf8_lossy(&response.body).trim().to_owned();
    (response.status.is_success() && !text.is_empty() && text.len() < 256).then_some(text)
}
