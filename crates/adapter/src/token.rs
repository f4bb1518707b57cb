//! Bearer tokens, by TokenReview.
//!
//! Answers, good and bad, are kept for a few seconds (`--authentication-token-webhook-cache-ttl`); failures to ask are not. Tokens are
//! the keys of that cache and appear nowhere else.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use keda_telemetry::metrics;
use kube::Client;

use crate::{
    cache::{Answered, Cache},
    review,
    user::User,
};

/// How many tokens are kept at most.
const KEPT: usize = 4096;
/// Longer ones are no tokens of any issuer we know, and must not fill the memory.
const LONGEST: usize = 64 * 1024;

pub(crate) struct Tokens {
    client: Client,
    ttl: Duration,
    known: Cache<Option<Arc<User>>>,
    metrics: Arc<metrics::Adapter>,
}

impl Tokens {
    pub(crate) fn new(client: Client, ttl: Duration, metrics: Arc<metrics::Adapter>) -> Self {
        Self { client, ttl, known: Cache::new(KEPT), metrics }
    }

    /// Whose token this is; `None` when it is nobody's.
    pub(crate) async fn owner(&self, token: &str) -> Result<Option<Arc<User>>, String> {
        if token.len() > LONGEST {
            return Ok(None);
        }
        self.known.get(token.as_bytes(), self.ask(token)).await
    }

    async fn ask(&self, token: &str) -> Answered<Option<Arc<User>>> {
        let question = TokenReview {
            spec: TokenReviewSpec { token: Some(token.to_owned()), audiences: None },
            ..TokenReview::default()
        };
        let answer = Box::pin(review::submit(&self.client, &question)).await;
        let status =
            answer.inspect_err(|_| self.metrics.review("token", "error"))?.status.unwrap_or_default();
        let user = match (status.authenticated, status.user) {
            (Some(true), Some(user)) => Some(Arc::new(of(user))),
            _ => {
                if let Some(error) = status.error.filter(|error| !error.is_empty()) {
                    tracing::debug!(%error, "the API server does not accept a token");
                }
                None
            }
        };
        self.metrics.review("token", if user.is_some() { "allowed" } else { "denied" });
        Ok((user, self.ttl))
    }
}

fn of(info: UserInfo) -> User {
    User {
        name: info.username.unwrap_or_default(),
        uid: info.uid.unwrap_or_default(),
        groups: info.groups.unwrap_or_default(),
        extra: info.extra.unwrap_or_default(),
    }
    .authenticated()
}
