//! Certificates: valid, for the right names, and signed by whom the API server trusts.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret},
    kube_aggregator::pkg::apis::apiregistration::v1::APIServiceSpec,
};
use keda_tls::Certificate;
use kube::Api;

use super::{
    World,
    processes::{Part, Processes},
    unread,
};
use crate::doctor::report::Report;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The operator renews three months before the end; what is left then is a certificate that nobody renews.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

impl World {
    pub(super) async fn certificates(
        &self,
        processes: &Processes,
        api_service: Option<&APIServiceSpec>,
        webhooks: Option<&ValidatingWebhookConfiguration>,
        report: &mut Report,
    ) {
        const STEP: &str = "Secret";
        let Some(operator) = processes.get(Part::Operator) else {
            return report.unknown(STEP, "there is no operator");
        };
        let name = operator.flag("cert-secret-name").unwrap_or("kedaorg-certs");
        let rotates = operator.is_on("enable-cert-rotation");
        let fix = if rotates {
            format!(
                "kubectl logs -n {} deployment/{}: the operator makes and renews it",
                self.namespace, operator.name
            )
        } else {
            "renew it where it comes from (cert-manager, or you), or run the operator with --enable-cert-rotation".to_owned()
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let data = match api.get_opt(name).await {
            Ok(Some(secret)) => secret.data.unwrap_or_default(),
            Ok(None) => return report.wrong(STEP, format!("{name} does not exist"), &fix),
            Err(error) => return unread(report, STEP, &format!("Secret {name}"), &error),
        };
        let leaf = match read(&data) {
            Ok(leaf) => leaf,
            Err(fault) => return report.wrong(STEP, format!("{name}: {fault}"), &fix),
        };
        let now = SystemTime::from(self.clock.now());
        match leaf.not_after.duration_since(now) {
            Err(_) => report.wrong("validity", format!("the certificate of {name} has expired"), &fix),
            Ok(left) if leaf.not_before > now => {
                let text = format!(
                    "the certificate of {name} is not valid yet; it would end in {} days",
                    days(left)
                );
                report.wrong("validity", text, "set the clocks of nodes and of whoever made it");
            }
            Ok(left) if left < SOON => {
                report.wrong(
                    "validity",
                    format!("the certificate of {name} ends in {} days", days(left)),
                    &fix,
                );
            }
            Ok(left) => {
                report.good("validity", format!("the certificate of {name} ends in {} days", days(left)));
            }
        }
        self.names(
            &leaf,
            operator.flag("operator-service-name").unwrap_or("keda-operator"),
            api_service,
            webhooks,
            &fix,
            report,
        );
        if let Some(spec) = api_service.filter(|spec| spec.insecure_skip_tls_verify != Some(true)) {
            trusts(&leaf, "APIService", spec.ca_bundle.as_ref(), rotates, report);
        }
        let hooks = webhooks.iter().flat_map(|found| found.webhooks.iter().flatten());
        let bundles: Vec<_> = hooks.map(|hook| hook.client_config.ca_bundle.as_ref()).collect();
        if let Some(bundle) = bundles.iter().find(|bundle| !is_trusted(&leaf, **bundle)).or(bundles.first()) {
            trusts(&leaf, "webhooks", *bundle, rotates, report);
        }
    }

    /// The names under which the three are called.
    fn names(
        &self,
        leaf: &Certificate,
        operator: &str,
        api_service: Option<&APIServiceSpec>,
        webhooks: Option<&ValidatingWebhookConfiguration>,
        fix: &str,
        report: &mut Report,
    ) {
        let hooks = webhooks.iter().flat_map(|found| found.webhooks.iter().flatten());
        let mut services: Vec<String> =
            hooks.filter_map(|hook| Some(hook.client_config.service.as_ref()?.name.clone())).collect();
        services.extend(api_service.and_then(|spec| spec.service.as_ref()?.name.clone()));
        services.push(operator.to_owned());
        services.sort();
        services.dedup();
        let wanted = services.iter().map(|service| format!("{service}.{}.svc", self.namespace));
        let lacking: Vec<_> = wanted.filter(|name| !leaf.names.contains(name)).collect();
        if lacking.is_empty() {
            return report.good("names", format!("of {} Services", services.len()));
        }
        report.wrong("names", format!("the certificate is not for {}", lacking.join(", ")), fix);
    }
}

/// The leaf of a Secret that holds together. Nothing of a key is in the error.
fn read(data: &BTreeMap<String, ByteString>) -> Result<Certificate, String> {
    let part = |key: &str| match data.get(key) {
        Some(bytes) if !bytes.0.is_empty() => Ok(bytes.0.as_slice()),
        _ => Err(format!("it has no {key}")),
    };
    let (ca, leaf, key) = (part("ca.crt")?, part("tls.crt")?, part("tls.key")?);
    let certificates =
        |bytes, what: &str| Certificate::read(bytes).map_err(|_| format!("{what} cannot be read"));
    let (authorities, leaf) = (certificates(ca, "ca.crt")?, certificates(leaf, "tls.crt")?);
    let leaf = leaf.into_iter().next().ok_or("tls.crt holds no certificate")?;
    if !leaf.owns(key) {
        return Err("tls.key does not belong to tls.crt".to_owned());
    }
    if !authorities.iter().any(|ca| leaf.signed_by(ca)) {
        return Err("tls.crt is signed by nobody in ca.crt".to_owned());
    }
    Ok(leaf)
}

fn is_trusted(leaf: &Certificate, bundle: Option<&ByteString>) -> bool {
    let known = bundle.and_then(|bundle| Certificate::read(&bundle.0).ok()).unwrap_or_default();
    known.iter().any(|ca| leaf.signed_by(ca))
}

fn trusts(
    leaf: &Certificate,
    step: &'static str,
    bundle: Option<&ByteString>,
    rotates: bool,
    report: &mut Report,
) {
    if is_trusted(leaf, bundle) {
        return report.good(step, "trusts the certificate");
    }
    let empty = bundle.is_none_or(|bundle| bundle.0.is_empty());
    let text = if empty {
        "has no caBundle: the API server trusts no certificate of KEDA"
    } else {
        "caBundle is of another CA than the one that signed the certificate"
    };
    let fix = if rotates {
        "the operator writes it: look at its log, at permissions below, and at whoever writes it back (a GitOps tool: ignore caBundle)"
    } else {
        "write the CA into caBundle (cert-manager: annotation cert-manager.io/inject-ca-from), or use --enable-cert-rotation"
    };
    report.wrong(step, text, fix);
}

fn days(left: Duration) -> u64 {
    left.as_secs() / DAY.as_secs()
}
