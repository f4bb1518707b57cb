//! What manifests say about AWS, the same in every trigger (auth.md §4.1).

use crate::{Context, Notice, Secret, TriggerConfig};

use super::{Identity, Keys, Role, Who};

/// Parameters of AWS: whose identity signs requests, and in which region.
#[derive(Debug, TriggerConfig)]
pub struct Aws {
    /// AWS: the region that requests are signed for, e.g. `eu-west-1`.
    #[param(from(metadata, auth))]
    pub aws_region: Option<String>,
    /// AWS: whose identity signs requests where the authentication has no podIdentity: `pod` (the default) is the role or the keys given
    /// here, `operator` the operator's own.
    #[param(from(metadata))]
    pub identity_owner: Option<String>,
    /// AWS: role to assume, with the operator's credentials.
    #[param(from(auth))]
    pub aws_role_arn: Option<String>,
    /// AWS: id of an access key.
    #[param(name = "awsAccessKeyID", alias = "awsAccessKeyId", from(auth, metadata, env))]
    pub aws_access_key_id: Option<Secret>,
    /// AWS: secret of the access key.
    #[param(from(auth, env))]
    pub aws_secret_access_key: Option<Secret>,
    /// AWS: session token of a temporary access key.
    #[param(from(auth))]
    pub aws_session_token: Option<Secret>,
}

impl Aws {
    /// As whom requests are signed.
    ///
    /// # Errors
    /// Nothing says it, in upstream's words.
    pub fn identity(&self, context: &Context) -> Result<Identity, &'static str> {
        let region = self.region().map(str::to_owned);
        let who = |who| Ok(Identity { who, region: region.clone() });
        let identity = &context.pod_identity;
        let param = text(self.aws_role_arn.as_deref());
        let given = identity.role_arn.as_deref().filter(|arn| !arn.is_empty());
        let role = |arn: &str, of_identity: bool| {
            let by_cluster = of_identity && identity.by_cluster;
            Who::Role(Role {
                arn: arn.to_owned(),
                external_id: identity.external_id.clone().filter(|_| of_identity),
                web_identity: identity.is_aws(),
                tenant: (!by_cluster).then(|| context.namespace.clone()),
            })
        };
        if identity.is_aws() {
            return match (given, param) {
                (Some(arn), _) => who(role(arn, true)),
                (None, Some(arn)) => who(role(arn, false)),
                (None, None) => who(Who::Operator),
            };
        }
        if !matches!(text(self.identity_owner.as_deref()), None | Some("pod")) {
            return who(Who::Operator);
        }
        // The role that a workload's ServiceAccount names, under `aws-eks`.
        if let Some(arn) = given.filter(|_| identity.is_aws_eks()) {
            return who(role(arn, true));
        }
        if let Some(arn) = param {
            return who(role(arn, false));
        }
        let secret =
            |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.expose().trim().is_empty());
        let id = secret(&self.aws_access_key_id).ok_or("awsAccessKeyID not found")?;
        let key = secret(&self.aws_secret_access_key).ok_or("awsSecretAccessKey not found")?;
        let trimmed = |secret: &Secret| Secret::from(secret.expose().trim());
        who(Who::Keys(Keys {
            id: id.expose().trim().to_owned(),
            secret: trimmed(&key),
            session_token: secret(&self.aws_session_token).as_ref().map(trimmed),
        }))
    }

    /// The region, where one is given.
    pub fn region(&self) -> Option<&str> {
        text(self.aws_region.as_deref())
    }

    /// What an author should know: an owner that is no word means the operator, and half a key is none.
    pub fn notices(&self, context: &Context) -> Vec<Notice> {
        let mut notices = Vec::new();
        let owner = text(self.identity_owner.as_deref());
        if let Some(other) = owner.filter(|owner| !matches!(*owner, "pod" | "operator")) {
            let text = format!(
                "identityOwner {other:?} is neither pod nor operator and means the operator's identity"
            );
            notices.push(Notice::advice(text));
        }
        let half = self.aws_access_key_id.is_some() != self.aws_secret_access_key.is_some();
        if let (true, Err(missing)) = (half, self.identity(context)) {
            notices.push(Notice::advice(format!("{missing}: half an AWS access key signs nothing")));
        }
        notices
    }
}

fn text(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PodIdentity;

    const ARN: &str = "arn:aws:iam::111122223333:role/shop";

    fn aws() -> Aws {
        Aws {
            aws_region: Some("eu-west-1".into()),
            identity_owner: None,
            aws_role_arn: None,
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
        }
    }

    fn keys() -> Aws {
        Aws {
            aws_access_key_id: Some("AKID\n".into()),
            aws_secret_access_key: Some("s3cret".into()),
            aws_session_token: Some("t0ken".into()),
            ..aws()
        }
    }

    fn context(provider: &str, arn: Option<&str>) -> Context {
        let mut pod_identity = PodIdentity::from_provider(provider);
        pod_identity.role_arn = arn.map(str::to_owned);
        pod_identity.external_id = Some("shop-1".into());
        Context { namespace: "shop".into(), pod_identity, ..Context::default() }
    }

    fn role(external_id: Option<&str>, web_identity: bool) -> Who {
        Who::Role(Role {
            arn: ARN.into(),
            external_id: external_id.map(str::to_owned),
            web_identity,
            tenant: Some("shop".into()),
        })
    }

    /// auth.md 4.1, row by row.
    #[test]
    fn the_identity_is_chosen_as_upstream_does() {
        let owner = |word: &str| Aws { identity_owner: Some(word.into()), ..keys() };
        let arn = || Aws { aws_role_arn: Some(ARN.into()), ..keys() };
        let own = Who::Keys(Keys {
            id: "AKID".into(),
            secret: "s3cret".into(),
            session_token: Some("t0ken".into()),
        });
        for (aws, context, expected) in [
            (keys(), context("aws", Some(ARN)), Ok(role(Some("shop-1"), true))),
            (arn(), context("aws", None), Ok(role(None, true))),
            (keys(), context("aws", None), Ok(Who::Operator)),
            (keys(), context("aws-eks", Some(ARN)), Ok(role(Some("shop-1"), false))),
            (keys(), context("aws-eks", None), Ok(own.clone())),
            (aws(), context("aws-eks", None), Err("awsAccessKeyID not found")),
            (owner("operator"), context("aws-eks", Some(ARN)), Ok(Who::Operator)),
            (owner("operator"), context("", None), Ok(Who::Operator)),
            (owner("Pod"), context("", None), Ok(Who::Operator)),
            (owner("pod"), context("", None), Ok(own.clone())),
            (arn(), context("", None), Ok(role(None, false))),
            (keys(), context("", None), Ok(own)),
            (
                Aws { aws_secret_access_key: None, ..keys() },
                context("", None),
                Err("awsSecretAccessKey not found"),
            ),
            (aws(), context("", None), Err("awsAccessKeyID not found")),
        ] {
            assert_eq!(aws.identity(&context).map(|identity| identity.who), expected, "{aws:?}");
        }
        let mut by_cluster = context("aws", Some(ARN));
        by_cluster.pod_identity.by_cluster = true;
        let Ok(Identity { who: Who::Role(role), region }) = keys().identity(&by_cluster) else { panic!() };
        assert_eq!((role.tenant, region.as_deref()), (None, Some("eu-west-1")));
    }

    #[test]
    fn what_means_something_else_is_said() {
        let context = context("", None);
        assert!(keys().notices(&context).is_empty());
        let odd = Aws { identity_owner: Some("Operator".into()), ..keys() };
        assert!(odd.notices(&context)[0].text.contains("means the operator's identity"));
        let half = Aws { aws_secret_access_key: None, ..keys() };
        assert!(half.notices(&context)[0].text.contains("half an AWS access key"));
    }
}
