//! The keeper and its Secret on a cluster in memory, under virtual time.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use keda_scaler::Clock;
use keda_testkit::{ApiServer, Denial, Fault};
use keda_tls::make::KeyKind;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    super::{Keeper, Rotation, Serving, content::Content},
    DAY, accepts, cas, content, leaf, names, rotation,
};

const OPERATOR: &str = "system:serviceaccount:keda:keda-operator";
const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";

/// A cluster, and every version of the Secret that it saw.
struct Cluster {
    server: ApiServer,
    clock: Clock,
    versions: Arc<Mutex<Vec<(SystemTime, Content)>>>,
    shutdown: CancellationToken,
}

impl Cluster {
    fn new() -> Self {
        keda_tls::install_provider();
        let server = ApiServer::new();
        let clock = Clock::tokio(keda_testkit::Clock::START);
        let versions: Arc<Mutex<Vec<(SystemTime, Content)>>> = Arc::default();
        let api: Api<Secret> = Api::namespaced(server.client_for("observer"), "keda");
        server.seed(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}})).unwrap();
        let seen = Arc::clone(&versions);
        tokio::spawn(async move {
            let mut changes = std::pin::pin!(watcher(api, watcher::Config::default()).applied_objects());
            while let Ok(Some(secret)) = futures::TryStreamExt::try_next(&mut changes).await {
                let mut seen = seen.lock().unwrap();
                let content = Content::of(&secret);
                if seen.last().is_none_or(|(_, last)| *last != content) {
                    seen.push((clock.now().into(), content));
                }
            }
        });
        Cluster { server, clock, versions, shutdown: CancellationToken::new() }
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }

    /// A leader whose folder cannot be written, as in a pod; what it serves.
    fn lead(&self, rotation: Rotation) -> Serving {
        self.lead_with(rotation, Path::new("/proc/nowhere"))
    }

    fn lead_with(&self, rotation: Rotation, folder: &Path) -> Serving {
        let client = self.server.client_for(OPERATOR);
        let serving = Serving::new(folder);
        let followed = serving.clone().follow(
            client.clone(),
            "keda".to_owned(),
            rotation.secret.clone(),
            self.shutdown.clone(),
        );
        tokio::spawn(followed);
        let keeper = Keeper::new(&client, "keda", rotation, self.clock, serving.clone());
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { keeper.keep(&shutdown).await });
        serving
    }

    fn seed_targets(&self) {
        self.server
            .seed(&json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": API_SERVICE},
                "spec": {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
                    "versionPriority": 100, "service": {"name": "keda-metrics-apiserver", "namespace": "keda"}}}))
            .unwrap();
        let webhook = |name: &str| {
            json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"service": {"name": "keda-admission-webhooks", "namespace": "keda"}}})
        };
        self.server
            .seed(&json!({"apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "keda-admission"},
                "webhooks": [webhook("vscaledobject.kb.io"), webhook("vscaledjob.kb.io")]}))
            .unwrap();
    }

    fn seed_secret(&self, content: &Content) {
        let mut secret = serde_json::to_value(content.secret(None, "kedaorg-certs", "keda")).unwrap();
        secret["apiVersion"] = "v1".into();
        secret["kind"] = "Secret".into();
        secret["metadata"]["labels"] = json!({"mine": "stays"});
        secret["data"]["note"] = "aGVsbG8=".into();
        self.server.seed(&secret).unwrap();
    }

    fn secret(&self) -> Secret {
        self.server.read("keda", "kedaorg-certs").unwrap()
    }

    /// What each target says.
    fn announced(&self) -> Vec<Vec<u8>> {
        let service: Option<APIService> = self.server.read("", API_SERVICE);
        let webhooks: Option<ValidatingWebhookConfiguration> = self.server.read("", "keda-admission");
        let service = service.and_then(|service| service.spec).map(|spec| spec.ca_bundle);
        let webhooks = webhooks.and_then(|configuration| configuration.webhooks).into_iter().flatten();
        let bundles = service.into_iter().chain(webhooks.map(|webhook| webhook.client_config.ca_bundle));
        bundles.map(|bundle| bundle.unwrap_or_default().0).collect()
    }

    fn versions(&self) -> Vec<(SystemTime, Content)> {
        self.versions.lock().unwrap().clone()
    }

    /// Everybody who holds the version before accepts the next one, and the other way round.
    fn assert_nobody_was_refused(&self) {
        for pair in self.versions().windows(2) {
            let [(_, before), (at, after)] = pair else { continue };
            assert!(accepts(before, after, *at) && accepts(after, before, *at));
        }
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn creates_the_secret_serves_it_and_announces_its_authority() {
    let cluster = Cluster::new();
    let serving = cluster.lead(Rotation { key: KeyKind::Rsa2048, ..rotation() });
    pass(seconds(5)).await;
    let secret = cluster.secret();
    let held = Content::of(&secret);
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    let labels: Value = serde_json::to_value(&secret.metadata.labels).unwrap();
    assert_eq!(
        labels,
        json!({"app": "keda-operator", "app.kubernetes.io/name": "keda-operator",
            "app.kubernetes.io/component": "keda-operator", "app.kubernetes.io/part-of": "keda"})
    );
    for key in [&held.ca_key, &held.key] {
        assert!(key.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    }
    let hour = seconds(3600);
    let (leaf, began) = (leaf(&held), SystemTime::from(keda_testkit::Clock::START));
    assert_eq!((leaf.names, leaf.for_both_ends), (names(), true));
    assert!(leaf.not_before < began && began < leaf.not_before + hour + seconds(5));
    assert!(leaf.not_after >= began + 365 * DAY && leaf.not_after < began + 365 * DAY + seconds(5));
    assert_eq!(serving.folder().status().generation, 1, "served without a file");
    assert!(cluster.announced().is_empty(), "no targets, no failure");

    cluster.seed_targets();
    pass(seconds(5)).await;
    assert_eq!(cluster.announced(), vec![held.ca.clone(); 3]);

    let mark = cluster.server.mark();
    pass(2 * DAY).await;
    assert_eq!(cluster.server.writes_since(mark), [], "nothing changes, nothing is written");

    // Somebody applies a manifest without the CA.
    let body = json!({"spec": {"caBundle": null}});
    cluster.server.merge::<APIService>("", API_SERVICE, &body).unwrap();
    assert_eq!(cluster.announced()[0], Vec::<u8>::new());
    pass(seconds(5)).await;
    assert_eq!(cluster.announced(), vec![held.ca; 3]);
}

#[tokio::test(start_paused = true)]
async fn adopts_what_is_there_and_renews_a_leaf_that_lacks_a_name() {
    let cluster = Cluster::new();
    cluster.seed_targets();
    let old = content(cluster.now() - DAY, cluster.now() - DAY, &names());
    cluster.seed_secret(&old);
    let serving = cluster.lead(rotation());
    pass(seconds(5)).await;
    assert_eq!(cluster.versions().len(), 1, "nothing to do");
    assert_eq!(serving.folder().status().generation, 1);
    assert_eq!(cluster.announced(), vec![old.ca.clone(); 3]);
    cluster.shutdown.cancel();

    let renamed = Cluster::new();
    renamed.seed_secret(&old);
    let wanted: Vec<String> = names().into_iter().chain(["another.keda.svc".to_owned()]).collect();
    renamed.lead(Rotation { names: wanted.clone(), ..rotation() });
    pass(seconds(5)).await;
    let secret = renamed.secret();
    let new = Content::of(&secret);
    assert!(new.ca == old.ca && new.ca_key == old.ca_key && new.cert != old.cert);
    assert_eq!(leaf(&new).names, wanted);
    assert_eq!(serde_json::to_value(&secret.metadata.labels).unwrap(), json!({"mine": "stays"}));
    assert!(secret.data.unwrap().contains_key("note"));
    renamed.assert_nobody_was_refused();
}

#[tokio::test(start_paused = true)]
async fn files_serve_until_the_secret_was_read_and_follow_it_then() {
    let folder = std::env::temp_dir().join(format!("keda-rs-rotation-{}", std::process::id()));
    let cluster = Cluster::new();
    let theirs = keda_tls::generate(&names(), KeyKind::EcdsaP256, cluster.now()).unwrap();
    theirs.write_to(&folder).unwrap();
    let served = Serving::new(&folder).folder().current();
    assert!(served.is_some_and(|served| served.chain() == theirs.identity().unwrap().chain()));

    cluster.lead_with(rotation(), &folder);
    pass(seconds(5)).await;
    let held = Content::of(&cluster.secret());
    for (name, bytes) in [("ca.crt", &held.ca), ("tls.crt", &held.cert), ("tls.key", &held.key)] {
        assert_eq!(&std::fs::read(folder.join(name)).unwrap(), bytes, "{name}");
    }
    assert!(!folder.join("ca.key").exists(), "nobody but the keeper needs it");
    std::fs::remove_dir_all(&folder).unwrap();

    // The kubelet's folder is the kubelet's.
    std::fs::create_dir_all(folder.join("..data")).unwrap();
    let projected = Cluster::new();
    projected.lead_with(rotation(), &folder);
    pass(seconds(5)).await;
    assert!(!folder.join("tls.crt").exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leaf_is_renewed_90_days_before_its_end_5185() {
    let cluster = Cluster::new();
    let made = cluster.now() - 274 * DAY;
    let old = content(made, made, &names());
    cluster.seed_secret(&old);
    let serving = cluster.lead(rotation());
    pass(DAY - seconds(60)).await;
    assert_eq!(cluster.versions().len(), 1, "91 days are left");
    pass(DAY).await;
    let versions = cluster.versions();
    assert_eq!(versions.len(), 2);
    assert!(versions[1].1.ca == old.ca && leaf(&versions[1].1).not_after > cluster.now() + 360 * DAY);
    assert_eq!(serving.folder().status().generation, 2, "served at once");
    cluster.assert_nobody_was_refused();
}

#[tokio::test(start_paused = true)]
async fn a_new_authority_overlaps_with_the_old_one() {
    let cluster = Cluster::new();
    cluster.seed_targets();
    let (aged, young) = (cluster.now() - 3561 * DAY, cluster.now() - DAY);
    cluster.seed_secret(&content(aged, young, &names()));
    cluster.lead(rotation());
    pass(seconds(60)).await;
    let announced = cluster.versions().pop().unwrap().1;
    assert_eq!(cas(&announced), 2);
    assert_eq!(
        cluster.announced(),
        vec![announced.ca.clone(); 3],
        "the API server knows it before it is used"
    );
    pass(seconds(900)).await;
    let versions = cluster.versions();
    let [(_, first), (announced_at, announced), (used_at, used)] = &versions[..] else {
        panic!("{} versions", versions.len());
    };
    assert!(first.cert == announced.cert && announced.cert != used.cert && announced.ca == used.ca);
    assert!(used_at.duration_since(*announced_at).unwrap() >= seconds(600 - 2));
    assert!(used.facts().leaf.unwrap().issuer == Some(0) && used.facts().signer == Some(0));
    cluster.assert_nobody_was_refused();
    pass(DAY).await;
    assert_eq!(cluster.versions().len(), 3, "and that is all");
}

#[tokio::test(start_paused = true)]
async fn a_new_authority_is_not_used_before_it_is_announced_everywhere() {
    let cluster = Cluster::new();
    cluster.seed_targets();
    let (aged, young) = (cluster.now() - 3561 * DAY, cluster.now() - DAY);
    cluster.seed_secret(&content(aged, young, &names()));
    cluster.server.deny(Denial {
        verb: "patch".to_owned(),
        resource: "apiservices".to_owned(),
        ..Denial::default()
    });
    cluster.lead(rotation());
    pass(seconds(7200)).await;
    assert_eq!(cluster.versions().len(), 2, "announced in the secret, not used");
    cluster.server.allow_all();
    pass(seconds(7200)).await;
    assert_eq!(cluster.versions().len(), 3);
    cluster.assert_nobody_was_refused();
}

#[tokio::test(start_paused = true)]
async fn two_writers_agree() {
    let cluster = Cluster::new();
    let (one, other) = (cluster.lead(rotation()), cluster.lead(rotation()));
    pass(seconds(10)).await;
    assert_eq!(cluster.versions().len(), 1, "the second one found the work done");
    let served = |serving: &Serving| serving.folder().current().unwrap().chain().to_vec();
    assert_eq!(served(&one), served(&other));

    let conflicted = Cluster::new();
    let made = conflicted.now() - 300 * DAY;
    conflicted.seed_secret(&content(made, made, &names()));
    conflicted.server.faults().next(3, |request| request.method == "PUT", Fault::Conflict);
    conflicted.lead(rotation());
    pass(seconds(30)).await;
    assert_eq!(conflicted.versions().len(), 2, "read again after each conflict");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_comes_back_with_a_new_authority_and_nobody_is_refused() {
    let cluster = Cluster::new();
    let old = content(cluster.now() - DAY, cluster.now() - DAY, &names());
    cluster.seed_secret(&old);
    cluster.lead(rotation());
    pass(seconds(5)).await;
    cluster.server.remove::<Secret>("keda", "kedaorg-certs").unwrap();
    pass(seconds(5)).await;
    let back = Content::of(&cluster.secret());
    assert_eq!((cas(&back), back.cert == old.cert), (2, true));
    pass(seconds(900)).await;
    assert!(Content::of(&cluster.secret()).cert != old.cert);
    cluster.assert_nobody_was_refused();
}
