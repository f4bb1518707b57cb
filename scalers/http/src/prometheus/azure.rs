//! Azure Monitor managed Prometheus: queries with the token of an Azure identity (core.md 10.5), and errors that say
//! what to do in Azure.

use keda_scaler::http::{Response, header, shown_url};
use keda_scaler::identity::azure::{self, Cloud};
use keda_scaler::identity::{Principal, Token};
use keda_scaler::{Code, Context, Error, Kind, Notice, TriggerConfig};
use serde::Deserialize;

use super::address::{clear_text, host, is_local};
use super::answer;

/// Parameters of Azure Monitor managed Prometheus, which is asked where the authentication's podIdentity is `azure-workload`.
#[derive(Debug, TriggerConfig)]
pub struct Azure {
    /// Azure: the cloud that the workspace is in, `AzurePublicCloud` (the default), `AzureUSGovernmentCloud`, `AzureChinaCloud` or
    /// `Private`. It decides what tokens are asked for, and where.
    #[param(from(metadata))]
    pub cloud: Option<String>,
    /// Azure: the resource that tokens are asked for, e.g. `https://prometheus.monitor.example/.default`. Needed in the cloud
    /// `Private`, not used in others.
    #[param(name = "azureManagedPrometheusResourceURL", from(metadata))]
    pub resource_url: Option<String>,
}

const SCOPE: &str = "/.default";

impl Azure {
    fn cloud(&self) -> Result<Cloud, Error> {
        let name = self.cloud.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Ok(Cloud::Public);
        }
        Cloud::parse(name).ok_or_else(|| {
            Error::config(format!(
                "invalid cloud environment {name}: it must be AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud or Private"
            ))
        })
    }

    /// Which token the trigger needs.
    pub(super) fn token_request(&self, context: &Context) -> Result<azure::Request, Error> {
        let cloud = self.cloud()?;
        let resource = match cloud {
            Cloud::Public => "https://prometheus.monitor.azure.com",
            Cloud::UsGovernment => "https://prometheus.monitor.azure.us",
            Cloud::China => "https://prometheus.monitor.azure.cn",
            Cloud::Private => {
                self.resource_url.as_deref().filter(|url| !url.is_empty()).ok_or_else(|| {
                    Error::config("azureManagedPrometheusResourceURL must be provided for Private cloud type")
                })?
            }
            other => {
                let name = other.as_str();
                return Err(Error::config(format!(
                    "azure managed prometheus is not available in cloud {name}"
                )));
            }
        };
        let resource = resource.strip_suffix(SCOPE).unwrap_or(resource).trim_end_matches('/');
        Ok(azure::Request {
            identity: context.pod_identity.clone(),
            scope: format!("{resource}{SCOPE}"),
            cloud,
        })
    }

    /// What the author of a manifest should know about the address that gets the identity's token.
    pub(super) fn notices(&self, server_address: &str) -> Vec<Notice> {
        let (shown, host, local) =
            (shown_url(server_address), host(server_address), is_local(server_address));
        let mut notices = Vec::from_iter(clear_text(server_address));
        if let Some(what) = other_address(server_address) {
            notices.push(Notice::advice(format!("serverAddress {shown} is {what}: {QUERY_ENDPOINT}")));
        } else if !local && !is_query_endpoint(host) && !matches!(self.cloud(), Ok(Cloud::Private)) {
            let text = format!(
                "the identity's token is sent to {host}, which is no query endpoint of an Azure Monitor workspace"
            );
            notices.push(Notice::advice(text));
        }
        notices
    }
}

const QUERY_ENDPOINT: &str = "the query endpoint looks like https://NAME.REGION.prometheus.monitor.azure.com, the workspace's overview page shows it";

fn is_query_endpoint(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    ["azure.com", "azure.us", "azure.cn"]
        .iter()
        .any(|cloud| host.ends_with(&format!(".prometheus.monitor.{cloud}")))
}

/// What an address is that is no query endpoint, where it can be recognised.
fn other_address(url: &str) -> Option<&'static str> {
    let host = host(url).to_ascii_lowercase();
    if host.contains(".ingest.monitor.azure.") {
        Some("the workspace's metrics ingestion endpoint")
    } else if host.starts_with("management.") && (host.contains("azure") || host.contains("cloudapi")) {
        Some("an address of the resource manager")
    } else if host.ends_with("portal.azure.com") {
        Some("an address of the portal")
    } else if is_query_endpoint(&host)
        && url.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'))
    {
        Some("a query endpoint with a path")
    } else {
        None
    }
}

/// Everything an error is made of, besides the answer.
pub(super) struct Asked<'a> {
    pub(super) server_address: &'a str,
    pub(super) scope: &'a str,
    pub(super) token: &'a Token,
}

#[derive(Deserialize)]
struct Document {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    code: String,
    message: String,
}

/// The error for a workspace's refusal: upstream's words, the server's, what they mean here, and the line that mends it.
/// `None` for answers that are no refusal.
pub(super) fn refusal(response: &Response, asked: &Asked<'_>) -> Option<Error> {
    let status = response.status.as_u16();
    if response.status.is_success() {
        return None;
    }
    let detail = serde_json::from_slice::<Document>(&response.body).ok().map(|document| document.error);
    let words = match &detail {
        Some(Detail { code, message }) if code.is_empty() => answer::quoted(message.as_bytes()),
        Some(Detail { code, message }) => answer::quoted(format!("{code}: {message}").as_bytes()),
        None => answer::words(&response.body),
    };
    let base = answer::refused(status, &words).message;
    let full =
        detail.map_or_else(|| String::from_utf8_lossy(&response.body).into_owned(), |detail| detail.message);
    let (code, explanation) = match status {
        401 => (Code::AzureWorkspaceUnauthorized, unauthorized(asked)),
        403 => (Code::AzureWorkspaceForbidden, forbidden(&full, asked)),
        404 | 405 => {
            let what = other_address(asked.server_address).unwrap_or("no query endpoint of a workspace");
            let shown = shown_url(asked.server_address);
            (Code::AzureWorkspaceNotFound, format!("{shown} is {what}: {QUERY_ENDPOINT}"))
        }
        400 | 422 => (Code::AzureWorkspaceQuery, String::new()),
        429 => (Code::AzureWorkspaceThrottled, throttled(response)),
        500.. => (Code::AzureWorkspaceFailing, String::new()),
        _ => return Some(hide(Error::new(Kind::Source(status), base), asked.token)),
    };
    Some(hide(Error::coded(Kind::Source(status), code, base, &explanation), asked.token))
}

/// A source that cannot be reached, where the reason is one of the catalogue.
pub(super) fn unreachable(error: Error) -> Error {
    if error.code.is_none() && error.kind == Kind::Unreachable && error.message.contains("UnknownIssuer") {
        let advice = "somebody takes TLS apart, or the workspace has a CA of its own: put its certificate into a folder of --ca-dir";
        return Error::coded(error.kind, Code::AzureUnknownCa, error.message, advice);
    }
    error
}

fn unauthorized(asked: &Asked<'_>) -> String {
    let Principal { client_id, tenant_id, .. } = asked.token.principal();
    let scope = asked.scope;
    format!(
        "the token of client {client_id} in tenant {tenant_id} for {scope} is not accepted, also after it was renewed; check cloud, \
         azureManagedPrometheusResourceURL and the tenant"
    )
}

/// Who, what, on what, and the assignment that is missing.
fn forbidden(words: &str, asked: &Asked<'_>) -> String {
    if words.contains("Microsoft.Monitor") && words.contains("resource provider") {
        return "az provider register --namespace Microsoft.Monitor".to_owned();
    }
    let Principal { client_id, tenant_id, object_id } = asked.token.principal();
    let object = object_id.as_deref().map(|id| format!(" (object id {id})")).unwrap_or_default();
    let action = quoted_after(words, "action ").unwrap_or("microsoft.monitor/accounts/data/metrics/read");
    let resource = words.split(['\'', '"', ' ']).find(|word| word.starts_with("/subscriptions/"));
    let resource = resource.map(|path| path.trim_end_matches(['.', ',', ';']));
    let endpoint = shown_url(asked.server_address);
    let endpoint = endpoint.trim_end_matches('/');
    let shown = resource.unwrap_or(endpoint);
    let scope = resource.map_or_else(
        || {
            format!(
                "\"$(az monitor account list --query \"[?metrics.prometheusQueryEndpoint=='{endpoint}'].id\" -o tsv)\""
            )
        },
        |resource| format!("\"{resource}\""),
    );
    format!(
        "client {client_id}{object} in tenant {tenant_id} may not perform {action} on {shown}: it needs the role Monitoring Data \
         Reader, which counts some minutes after it was assigned; az role assignment create --assignee {client_id} --role \
         \"Monitoring Data Reader\" --scope {scope}"
    )
}

/// The text in quotes that follows a word.
fn quoted_after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.split_once(word)?.1.strip_prefix('\'')?;
    rest.split_once('\'').map(|(inside, _)| inside).filter(|inside| inside.len() < 200)
}

fn throttled(response: &Response) -> String {
    let after = response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = after.and_then(|text| text.trim().parse::<u32>().ok());
    seconds.map(|seconds| format!("the workspace asks to wait {seconds} s")).unwrap_or_default()
}

/// Whatever the server repeats of what it was sent.
fn hide(mut error: Error, token: &Token) -> Error {
    if let Some(text) = token.secret().hide_in(&error.message) {
        error.message = text;
    }
    error
}

#[cfg(test)]
mod tests;
