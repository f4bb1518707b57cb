//! Tables of decisions, a quarter of a century in the life of a Secret, and the keeper on a cluster in memory under virtual time.

mod cluster;
mod life;
mod plan;

use std::time::{Duration, SystemTime};

use keda_tls::{
    Certificate, Roots,
    make::{Authority, KeyKind, Subject},
};

use super::{Rotation, content::Content, plan::LEAF};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn names() -> Vec<String> {
    ["keda-operator", "keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc"].map(str::to_owned).to_vec()
}

fn rotation() -> Rotation {
    Rotation {
        secret: "kedaorg-certs".to_owned(),
        names: names(),
        api_service: true,
        webhooks: Some("keda-admission".to_owned()),
        key: KeyKind::EcdsaP256,
    }
}

/// A CA made at one time and a leaf by it made at another, for all names.
fn content(ca_made: SystemTime, leaf_made: SystemTime, names: &[String]) -> Content {
    let ca = Authority::new("KEDA", "KEDAORG", KeyKind::EcdsaP256, ca_made).unwrap();
    let subject = Subject { common_name: "keda-operator", organization: "", names };
    let (cert, key) = ca.issue(&subject, leaf_made, LEAF).unwrap();
    Content {
        ca: ca.certificate().into(),
        ca_key: ca.key().into(),
        cert: cert.into_bytes(),
        key: key.into_bytes(),
    }
}

/// Whether a process that holds `trusting` accepts one that shows `showing`.
fn accepts(trusting: &Content, showing: &Content, now: SystemTime) -> bool {
    let roots = Roots::from_pem("ca", &trusting.ca).unwrap();
    let chain = keda_tls::Identity::from_pem("leaf", &showing.cert, &showing.key, None).unwrap();
    roots.verify_client(chain.chain(), now).is_ok()
}

fn leaf(content: &Content) -> Certificate {
    Certificate::read(&content.cert).unwrap().remove(0)
}

fn cas(content: &Content) -> usize {
    Certificate::read(&content.ca).unwrap().len()
}
