//! `podIdentity`: from what a TriggerAuthentication says to whom a trigger is (auth.md §§2, 4.1).

use keda_api::TriggerAuthenticationSpec;
use keda_core::admission::authentication;
use keda_scaler::aws::ROLE_ANNOTATION;
use keda_scaler::identity::{Owner, Provider, ServiceAccount};
use keda_scaler::kube::Reader;
use keda_scaler::{Code, PodIdentity};

use crate::resolve::{Scope, pod_template};
use crate::{Error, ReadKey};

/// The identity, checked. The ServiceAccount of the target's pods is looked up where the identity is the workload's.
pub(crate) async fn of(
    origin: &ReadKey,
    spec: &TriggerAuthenticationSpec,
    scope: &Scope,
    reader: &dyn Reader,
) -> Result<PodIdentity, Error> {
    let Some(given) = &spec.pod_identity else { return Ok(PodIdentity::default()) };
    if given.provider.as_str() == "azure" {
        return Err(Error::Retired { origin: origin.clone() });
    }
    let mut identity = PodIdentity::from_provider(given.provider.as_str());
    // Google's has no fields: the operator's own identity is meant.
    if !matches!(identity.provider, Provider::AzureWorkload | Provider::Aws | Provider::AwsEks) {
        return Ok(identity);
    }
    let refused = |text: String| Error::Identity { origin: origin.clone(), text };
    let violations = authentication::check(spec);
    if let Some(violation) = violations.into_iter().find(|it| it.path.starts_with("spec.podIdentity")) {
        return Err(refused(violation.text));
    }
    let text = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if !identity.is_azure() {
        identity.role_arn = text(&given.role_arn).filter(|_| identity.is_aws());
        identity.external_id = text(&given.external_id).filter(|_| identity.is_aws());
        identity.by_cluster = identity.role_arn.is_some() && origin.namespace.is_none();
        let of_workload = match given.identity_owner.as_ref().map(|owner| owner.as_str()).unwrap_or_default()
        {
            "" | "keda" => identity.is_aws_eks(),
            "workload" => true,
            other => return Err(refused(unknown_owner(other))),
        };
        if of_workload {
            identity.identity_owner = Owner::Workload;
            identity.role_arn = workload_role(origin, &identity, scope, reader).await?;
        }
        return Ok(identity);
    }
    identity.identity_id = text(&given.identity_id);
    identity.identity_tenant_id = text(&given.identity_tenant_id);
    identity.identity_authority_host = text(&given.identity_authority_host);
    if identity.identity_authority_host.as_ref().is_some_and(|host| !host.starts_with("https://")) {
        let text = "identityAuthorityHost of PodIdentity must be an https address, like https://login.microsoftonline.com/";
        return Err(refused(text.to_owned()));
    }
    match given.identity_owner.as_ref().map(|owner| owner.as_str()).unwrap_or_default() {
        "" | "keda" => {}
        "workload" => {
            identity.identity_owner = Owner::Workload;
            identity.workload = Some(workload(origin, scope, reader).await?);
        }
        other => {
            return Err(refused(unknown_owner(other)));
        }
    }
    Ok(identity)
}

fn unknown_owner(other: &str) -> String {
    format!("identityOwner of PodIdentity must be keda or workload, not {other:?}")
}

/// The role that the ServiceAccount of the target's pods names. `aws-eks` does without one, and without a pod template.
async fn workload_role(
    origin: &ReadKey,
    identity: &PodIdentity,
    scope: &Scope,
    reader: &dyn Reader,
) -> Result<Option<String>, Error> {
    if identity.is_aws_eks() && pod_template(scope, reader).await?.is_none() {
        return Ok(None);
    }
    let ServiceAccount { namespace, name } = workload(origin, scope, reader).await?;
    let read = reader.service_account(&namespace, &name).await;
    let object = ReadKey::namespaced("ServiceAccount", &namespace, &name);
    let annotations = read.map_err(|cause| Error::Read { object, cause })?.unwrap_or_default();
    let role = annotations.get(ROLE_ANNOTATION).map(|arn| arn.trim()).filter(|arn| !arn.is_empty());
    if role.is_none() && identity.is_aws() {
        let code = Code::AwsRole;
        let text = format!(
            "identityOwner of PodIdentity is workload, and ServiceAccount {namespace}/{name} has no annotation {ROLE_ANNOTATION} [{code}]; \
             kubectl annotate serviceaccount -n {namespace} {name} {ROLE_ANNOTATION}=ARN"
        );
        return Err(Error::Identity { origin: origin.clone(), text });
    }
    Ok(role.map(str::to_owned))
}

/// The ServiceAccount that the target's pods run as.
async fn workload(origin: &ReadKey, scope: &Scope, reader: &dyn Reader) -> Result<ServiceAccount, Error> {
    let template = pod_template(scope, reader).await?.ok_or_else(|| Error::Identity {
        origin: origin.clone(),
        text: "identityOwner of PodIdentity is workload, but the target has no pod template".to_owned(),
    })?;
    let name = template.spec.and_then(|spec| spec.service_account_name).filter(|name| !name.is_empty());
    Ok(ServiceAccount {
        namespace: scope.namespace.clone(),
        name: name.unwrap_or_else(|| "default".to_owned()),
    })
}
