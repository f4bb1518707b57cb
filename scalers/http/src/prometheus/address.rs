//! The addresses of managed services, and where a token goes that is sent to them.

use keda_scaler::Notice;
use keda_scaler::http::shown_url;

/// Host of a URL, without user information and port.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a URL is of the process's own machine.
pub(super) fn is_local(url: &str) -> bool {
    matches!(host(url), "localhost" | "127.0.0.1" | "[::1]" | "::1")
}

/// What the author is told of an address that gets an identity's token without TLS.
pub(super) fn clear_text(server_address: &str) -> Option<Notice> {
    (server_address.starts_with("http://") && !is_local(server_address)).then(|| {
        let shown = shown_url(server_address);
        Notice::advice(format!(
            "serverAddress {shown} is not https: the identity's token crosses the network in clear text"
        ))
    })
}
