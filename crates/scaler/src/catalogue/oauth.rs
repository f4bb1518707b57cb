//! The entries of OAuth 2.0 client credentials.

use super::Entry;

pub(super) const UNREACHABLE: Entry = Entry {
    title: "The token endpoint cannot be reached",
    seen: "cannot reach the token endpoint",
    cause: "`oauthTokenURI` cannot be asked: name resolution, routing, a firewall, a proxy, or a certificate that is not trusted.",
    fix: "Try the address from the operator's network. A CA of its own is given as `ca`, or in the folder of `--ca-dir`.",
};

pub(super) const REFUSED: Entry = Entry {
    title: "The token endpoint gives no token",
    seen: "invalid_client, invalid_scope, unauthorized_client: the token endpoint answered with status 400, 401",
    cause: "The server does not know the client or its secret, does not allow it client credentials, or wants other scopes or \
parameters. Its own words say which.",
    fix: "Check `clientID`, `clientSecret`, `scopes` and `endpointParams`; some servers want `audience` or `resource` among the latter.",
};

pub(super) const FAILING: Entry = Entry {
    title: "The token endpoint has trouble",
    seen: "the token endpoint answered with status 429, 500, 502, 503",
    cause: "A failure of the OAuth 2.0 server, or of a proxy in between.",
    fix: "Nothing at first: it is tried again with growing pauses, and a token in hand is used until it expires.",
};

pub(super) const TOKEN_SLOW: Entry = Entry {
    title: "The token endpoint is slow",
    seen: "no token within",
    cause: "No answer within KEDA_HTTP_DEFAULT_TIMEOUT. The request goes on in the background, and the next poll finds its result.",
    fix: "If it stays so, look at the OAuth 2.0 server; raise KEDA_HTTP_DEFAULT_TIMEOUT (milliseconds).",
};
