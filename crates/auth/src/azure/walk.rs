//! The way to a token step by step, for people who want to see where it ends (`keda doctor`).

use std::time::Duration;

use keda_scaler::Error;
use keda_scaler::identity::{Token, Tokens as _, azure};

use super::Broker;

/// One step: what was looked at, and what was found.
#[derive(Debug, Clone)]
pub struct Step {
    /// `login host`, `identity`, `federated token`, `access token`.
    pub name: &'static str,
    /// What was found, never a token, or why the way ends here.
    pub found: Result<String, Error>,
}

/// The steps up to the first that fails.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// In order.
    pub steps: Vec<Step>,
    /// The token, where every step succeeded.
    pub token: Option<Token>,
}

impl Walk {
    fn note<T>(&mut self, name: &'static str, found: Result<(String, T), Error>) -> Option<T> {
        let (found, value) = match found {
            Ok((text, value)) => (Ok(text), Some(value)),
            Err(error) => (Err(error), None),
        };
        self.steps.push(Step { name, found });
        value
    }
}

impl Broker {
    /// Walks the way to a token. The last step is the broker's own: a token in hand is not asked for again.
    pub async fn walk(&self, request: &azure::Request) -> Walk {
        let mut walk = Walk::default();
        self.step(request, &mut walk).await;
        walk
    }

    async fn step(&self, request: &azure::Request, walk: &mut Walk) -> Option<()> {
        let key = walk.note("login host", self.key(request).map(|key| (key.authority.clone(), key)))?;
        let ids = self.ids(&key).await.map_err(|problem| problem.error(Duration::ZERO));
        walk.note(
            "identity",
            ids.map(|(client, tenant)| (format!("client {client} in tenant {tenant}"), ())),
        )?;
        let claims = self.claims(&key).await.map_err(|problem| problem.error(Duration::ZERO));
        let shown = claims.map(|claims| (super::problem::shown(&claims), ()));
        walk.note("federated token", shown)?;
        let token = self.token(&request.clone().into()).await.map(|token| {
            let object = token.principal().object_id.clone();
            let object = object.map_or_else(String::new, |id| format!(" as object {id}"));
            (format!("for {}{object}", request.scope), token)
        });
        walk.token = walk.note("access token", token);
        Some(())
    }
}
