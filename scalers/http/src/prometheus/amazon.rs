//! Amazon Managed Service for Prometheus: queries that are signed as an identity of AWS (core.md 10.5), and errors that say what to do there.

use keda_scaler::aws::{Access as _, Answered, Asked, Aws, Service, refusal};
use keda_scaler::http::{Request, Response, shown_url};
use keda_scaler::{Code, Context, Error, Kind, Link, Notice, Secret};

use super::address::host;
use super::answer;

/// For servers that are none of Amazon's and take a signature for noise, where nobody names a region.
const ANY_REGION: &str = "us-east-1";

/// As whom queries are signed; `None` where nothing of AWS is given. A trigger that has keys, a role or an identity of AWS has its queries signed
/// wherever they go, as upstream.
pub(super) fn service(aws: &Aws, context: &Context) -> Option<Service> {
    let identity = aws.identity(context).ok()?;
    Some(Service { signing_name: "aps", identity, region: aws.region().map(str::to_owned) })
}

/// The service for a server: where no region is given anywhere, and the server is none of Amazon's, any will do.
pub(super) fn connect(mut service: Service, server_address: &str, link: &Link) -> Service {
    let known = service.region_for(&link.defaults(), Some(server_address)).is_ok();
    if !known && service.region.is_none() && !is_amazon(host(server_address)) {
        service.region = Some(ANY_REGION.to_owned());
    }
    service
}

/// What the author of a manifest should know about where signed queries go.
pub(super) fn notices(server_address: &str, unsafe_ssl: bool) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (shown, host) = (shown_url(server_address), host(server_address));
    if is_amazon(host) && server_address.starts_with("http://") {
        let text = format!("serverAddress {shown} is not https: answers cross the network in clear text");
        notices.push(Notice::advice(text));
    }
    if is_amazon(host) && !host.starts_with("aps-workspaces.") && !host.contains(".aps-workspaces.") {
        let text = format!("serverAddress {shown} is no workspace: {ENDPOINT}");
        notices.push(Notice::advice(text));
    } else if !is_amazon(host) {
        let text =
            format!("queries to {host}, which is none of Amazon's hosts, are signed with an identity of AWS");
        notices.push(Notice::advice(text));
    } else if path(server_address).contains("/api/v1/") {
        let text =
            format!("serverAddress {shown} has a path too many, /api/v1/query is added to it: {ENDPOINT}");
        notices.push(Notice::advice(text));
    }
    if unsafe_ssl {
        let text =
            "unsafeSsl has no effect in scaler prometheus with an identity of AWS: the server is verified";
        notices.push(Notice::no_effect(text));
    }
    notices
}

const ENDPOINT: &str =
    "it looks like https://aps-workspaces.REGION.amazonaws.com/workspaces/ID, the workspace's page shows it";

fn is_amazon(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// The path of a URL, with its first slash.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |slash| &rest[slash..])
}

/// Asks once. Gives the answer, and the credential that must not be in errors.
///
/// # Errors
/// There are no credentials or there is no answer; and a refusal, with upstream's words first, the service's, and what mends it.
pub(super) async fn ask(
    service: &Service,
    server_address: &str,
    link: &Link,
    request: Request,
) -> Result<(Response, Secret), Error> {
    let answered = service.send(link, request).await?;
    match refused(&answered, server_address) {
        Some(error) => Err(error),
        None => {
            let Answered { response, credentials, .. } = answered;
            Ok((response, credentials.session_token.unwrap_or(credentials.secret_access_key)))
        }
    }
}

fn refused(answered: &Answered, server_address: &str) -> Option<Error> {
    let Answered { response, credentials, region, .. } = answered;
    let refusal = refusal(response)?;
    let status = refusal.status;
    let what = answer::refused(status, "").message;
    if status == 404 {
        let text = format!("{what}: {} from {}", refusal.words(credentials), shown_url(server_address));
        let code = Code::AwsWorkspaceNotFound;
        return Some(Error::coded(Kind::Source(status), code, text, ENDPOINT));
    }
    let workspace = path(server_address).split("/workspaces/").nth(1).and_then(|rest| rest.split('/').next());
    let resource = match workspace {
        Some(id) => format!("arn:aws:aps:{region}:*:workspace/{id}"),
        None => format!("arn:aws:aps:{region}:*:workspace/*"),
    };
    let asked = Asked { permission: "aps:QueryMetrics", resource: &resource, credentials, region };
    // The rest, such as a query that cannot be read, is said as any Prometheus says it.
    refusal.error(&what, &asked)
}

#[cfg(test)]
mod tests;
