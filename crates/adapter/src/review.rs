//! Questions to the API server: TokenReview and SubjectAccessReview.

use std::time::Duration;

use kube::{Api, Client, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};

/// How long the API server may take, retries included (the API server libraries' request timeout).
const DEADLINE: Duration = Duration::from_secs(10);
/// Rest before the second try; half as long again before each further one.
const REST: Duration = Duration::from_millis(500);

/// Sends the review and returns it with its status. Tries again while the API server is away or busy.
pub(crate) async fn submit<K>(client: &Client, review: &K) -> Result<K, String>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let api = Api::<K>::all(client.clone());
    let tries = async {
        let mut rest = REST;
        loop {
            match api.create(&PostParams::default(), review).await {
                Err(error) if passing(&error) => {
                    tracing::debug!(%error, "the API server could not review, trying again");
                    tokio::time::sleep(rest).await;
                    rest = rest.mul_f32(1.5);
                }
                outcome => return outcome.map_err(|error| error.to_string()),
            }
        }
    };
    tokio::time::timeout(DEADLINE, tries)
        .await
        .unwrap_or_else(|_| Err("the API server did not answer in time".to_owned()))
}

fn passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}
