//! The promises of a trigger whose source says by itself which metrics there are.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::suite::{Contract, context};
use super::{Scripted, environment};
use crate::{Environment, Error, Kind, Live, Outcome, Parsed, grpc};

/// What the source of a remote trigger does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Remote {
    /// Says that there is one metric, of this value, and whether there is work.
    Saying(f64, bool),
    /// Takes every call and answers none.
    Silent,
    /// Refuses every call with *permission denied* and [`Remote::WORDS`].
    Refusing,
    /// Nobody listens there.
    Gone,
}

impl Remote {
    /// A server's own words.
    pub const WORDS: &'static str = "no, says the server";
}

#[expect(clippy::expect_used, reason = "test code")]
impl Contract {
    /// Checks that need the source, over its channels in each state.
    pub(super) async fn remote(&self, channels: fn(Remote) -> grpc::Channels) {
        let parsed = self.parse(&context()).expect("the example parses");
        assert!(parsed.is_remote() && !parsed.is_planned() && parsed.specs().is_empty(), "{parsed:?}");
        for (value, active) in [(5.0, false), (0.0, true), (2.5, true), (1e12, false)] {
            let (planned, live) = self.asked(&world(channels(Remote::Saying(value, active)))).await;
            let outcome = sampled(&planned, &live).await.remove(0);
            assert!(planned.specs().iter().any(|spec| spec.name() == outcome.name), "{}", outcome.name);
            let reading = outcome.result.expect("it was said");
            assert_eq!((reading.value, reading.active), (value, active), "activity is the source's to say");
        }
        let (planned, _) = self.asked(&world(channels(Remote::Saying(1.0, false)))).await;
        for (state, kind, words) in [
            (Remote::Silent, Kind::Timeout, "no answer within"),
            (Remote::Refusing, Kind::Source(403), Remote::WORDS),
            (Remote::Gone, Kind::Unreachable, "code = Unavailable"),
        ] {
            let started = Instant::now();
            for error in self.errors(&planned, &world(channels(state))).await {
                assert!(error.kind == kind && error.message.contains(words), "{state:?}: {error:?}");
            }
            let allowed = 2 * (planned.deadline() + Duration::from_millis(250));
            assert!(started.elapsed() <= allowed, "{state:?}: took {:?} of {allowed:?}", started.elapsed());
        }
        // Whoever loses interest drops the future, and the next is as good as ever.
        let (planned, live) = self.asked(&world(channels(Remote::Saying(7.0, true)))).await;
        let live = live.planned(&planned);
        for _ in 0..200 {
            let _given_up = timeout(Duration::ZERO, live.sample()).await;
        }
        assert!(live.sample().await.into_iter().all(|outcome| outcome.result.is_ok()));
    }

    /// The trigger with the metrics that its source has.
    async fn asked(&self, world: &Environment) -> (Parsed, Live) {
        let parsed = self.parse(&context()).expect("the example parses");
        let live = parsed.connect(world).await.expect("nothing is dialled yet");
        let metrics = live.metrics().await.expect("it says");
        (parsed.planned(metrics).expect("an HPA can have them"), live)
    }

    /// Why it cannot be asked for its metrics, and not be sampled.
    async fn errors(&self, planned: &Parsed, world: &Environment) -> Vec<Error> {
        let live = planned.connect(world).await.expect("nothing is dialled yet");
        let mut errors = vec![live.metrics().await.expect_err("it cannot say")];
        errors.extend(live.sample().await.into_iter().filter_map(|outcome| outcome.result.err()));
        assert_eq!(errors.len(), 1 + planned.specs().len(), "what failed is no value");
        errors
    }
}

async fn sampled(planned: &Parsed, live: &Live) -> Vec<Outcome> {
    live.planned(planned).sample().await
}

fn world(channels: grpc::Channels) -> Environment {
    Environment { grpc: channels, ..environment(Scripted::silent()) }
}
