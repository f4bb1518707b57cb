//! The operator's own identity, in the order of Amazon's libraries (auth.md §4.3): the first source that is set up is asked, and no other.
//! Keys in the environment come before all of these and need nobody.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keda_scaler::aws::{Credentials, refusal};
use keda_scaler::http::{HeaderMap, Method, Request, Response, header, sensitive};
use keda_scaler::{Code, Kind, Secret};
use serde::Deserialize;
use tokio::time::Instant;

use super::broker::World;
use super::problem;
use super::sts::{self, Texts};
use super::{Container, SESSION};
use crate::broker::Issued;
use crate::problem::{Class, Problem};

/// Metadata services answer from the node: who does not answer within this is not there.
const NEAR: Duration = Duration::from_secs(2);

/// Where container credentials may be asked for without TLS: the node's own addresses.
const AGENTS: [&str; 5] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "127.0.0.1"];

/// Credentials as metadata service and container endpoint write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    /// `Success`, in the metadata service's answers only.
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

impl World {
    /// New credentials of the operator itself.
    pub(super) async fn own(&self, region: Option<&str>) -> Result<Issued<Credentials>, Problem> {
        let settings = &self.settings;
        if settings.token_file.is_some() {
            let Some(role) = &settings.role_arn else {
                return Err(problem::no_identity(
                    "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not",
                ));
            };
            let session = settings.session_name.as_deref().unwrap_or(SESSION);
            return self.web_identity(&self.sts(region)?, role, session).await;
        }
        if let Some(container) = &settings.container {
            return self.container(container).await;
        }
        match &settings.metadata {
            Some(metadata) => self.metadata(metadata).await,
            None => Err(problem::no_identity(
                "neither AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set, and \
                 AWS_EC2_METADATA_DISABLED is",
            )),
        }
    }

    async fn container(&self, container: &Container) -> Result<Issued<Credentials>, Problem> {
        let uri = container.uri.as_str();
        let failed = |why: String, class| {
            let text = format!("no credentials from the container credentials endpoint {uri}: {why}");
            let advice =
                "check the agent of EKS Pod Identity on the operator's node, and the association's role";
            Problem::new(Kind::Auth, Code::AwsContainerCredentials, class, text, advice)
        };
        let host = uri.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let near = host.is_some_and(|host| {
            AGENTS.iter().any(|agent| {
                host.strip_prefix(agent).is_some_and(|port| port.is_empty() || port.starts_with(':'))
            })
        });
        if !near && !uri.starts_with("https://") {
            let why = "it is neither https nor an address of this node, and gets a token";
            return Err(failed(why.to_owned(), Class::Local));
        }
        let token = match (&container.token_file, &container.token) {
            (Some(file), _) => {
                let read = std::fs::read_to_string(file);
                let read = read.map_err(|error| {
                    let why = format!(
                        "cannot read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE {}: {error}",
                        file.display()
                    );
                    failed(why, Class::Local)
                })?;
                Some(Secret::new(read.trim()))
            }
            (None, token) => token.clone(),
        };
        let mut request = Request::get(uri);
        if let Some(token) = &token {
            let value = sensitive(token.expose())
                .ok_or_else(|| failed("its token cannot be sent as a header".to_owned(), Class::Local))?;
            request.headers.insert(header::AUTHORIZATION, value);
        }
        let asked = Instant::now();
        let response =
            self.near(request).await.map_err(|error| failed(error, Class::Temporary { wait: None }))?;
        if let Some(refusal) = refusal(&response) {
            let words = match refusal.message.as_str() {
                "" => String::from_utf8_lossy(&response.body).trim().chars().take(200).collect(),
                words => words.to_owned(),
            };
            let words = token.as_ref().and_then(|token| token.hide_in(&words)).unwrap_or(words);
            let class = if refusal.status >= 500 || refusal.status == 429 {
                Class::Temporary { wait: None }
            } else {
                Class::Local
            };
            return Err(failed(format!("status {} {words}", refusal.status), class));
        }
        self.written(&response, "the operator's EKS Pod Identity", asked)
            .map_err(|why| failed(why.to_owned(), Class::Local))
    }

    /// The node's role, by the second version of the metadata service's protocol: a token first.
    async fn metadata(&self, base: &str) -> Result<Issued<Credentials>, Problem> {
        let failed = |why: String| {
            let text = format!("no credentials from the instance metadata service {base}: {why}");
            let advice = "prefer IRSA or EKS Pod Identity; otherwise the node needs an instance profile, and its metadata a hop limit of 2";
            Problem::new(Kind::Auth, Code::AwsInstanceMetadata, Class::Local, text, advice)
        };
        let mut request = Request::get(format!("{base}/latest/api/token"));
        request.method = Method::PUT;
        request.headers.insert("x-aws-ec2-metadata-token-ttl-seconds", 21_600.into());
        let response = self.near(request).await.map_err(|error| {
            problem::no_identity(&format!(
                "no keys, web identity token or container credentials endpoint is set, and the instance metadata service does not \
                 answer ({error})"
            ))
        })?;
        let token = String::from_utf8_lossy(&response.body).trim().to_owned();
        let token = response.status.is_success().then(|| sensitive(&token)).flatten();
        let token =
            token.ok_or_else(|| failed(format!("status {} for a token", response.status.as_u16())))?;
        let mut headers = HeaderMap::new();
        headers.insert("x-aws-ec2-metadata-token", token);
        let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
        let listed = self.near(Request::get(&roles).headers(headers.clone())).await.map_err(failed)?;
        let names = String::from_utf8_lossy(&listed.body).into_owned();
        let role = names.lines().next().map(str::trim).filter(|role| {
            !role.is_empty()
                && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
        });
        let role = role.filter(|_| listed.status.is_success());
        let role = role.ok_or_else(|| failed("the node has no instance profile".to_owned()))?;
        let asked = Instant::now();
        let response =
            self.near(Request::get(format!("{roles}{role}")).headers(headers)).await.map_err(failed)?;
        if !response.status.is_success() {
            return Err(failed(format!("status {} for role {role}", response.status.as_u16())));
        }
        self.written(&response, &format!("the node's role {role}"), asked)
            .map_err(|why| failed(why.to_owned()))
    }

    /// Asks somebody on the node.
    async fn near(&self, mut request: Request) -> Result<Response, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        request.timeout = Some(self.settings.timeout.map_or(NEAR, |timeout| timeout.min(NEAR)));
        self.transport.send(request).await.map_err(|error| error.to_string())
    }

    fn written(
        &self,
        response: &Response,
        principal: &str,
        asked: Instant,
    ) -> Result<Issued<Credentials>, &'static str> {
        // serde_json's own text could quote the answer.
        let written: Written = serde_json::from_slice(&response.body)
            .map_err(|_| "the answer is not the JSON that it should be")?;
        if written.code.is_some_and(|code| code != "Success") {
            return Err("the answer says that it failed");
        }
        let texts = Texts {
            id: written.access_key_id,
            secret: written.secret_access_key,
            token: written.token,
            expires: written.expiration,
        };
        sts::issued(&texts, principal, asked, self.clock.now())
    }
}
