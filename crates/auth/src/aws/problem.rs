//! What STS's refusals mean: for the next try, and for people.

use keda_scaler::aws::Refusal;
use keda_scaler::{Code, Kind};

use super::sts::Presented;
use crate::claims::Claims;
use crate::problem::{Class, Problem};

/// STS's refusal of a role.
pub(super) fn of_refusal(refusal: &Refusal, arn: &str, presented: &Presented<'_>, region: &str) -> Problem {
    let words = match presented {
        Presented::Credentials { own, .. } => refusal.words(own),
        Presented::WebIdentity { token, .. } => {
            let Refusal { code, message, status, .. } = refusal;
            let words = match (code.as_str(), message.as_str()) {
                ("", "") => format!("status {status}"),
                ("", words) | (words, "") => words.to_owned(),
                (code, words) => format!("{code}: {words}"),
            };
            token.hide_in(&words).unwrap_or(words)
        }
    };
    let temporary = Class::Temporary { wait: None };
    let problem =
        |code, class, text: String, advice: &str| Problem::new(Kind::Auth, code, class, text, advice);
    if refusal.is_throttled() {
        let text = format!("{words}: STS in {region} asks to wait, for role {arn}");
        return Problem::new(Kind::Unreachable, Code::AwsThrottled, temporary, text, "");
    }
    if refusal.status >= 500 {
        let text = format!("{words}: STS in {region} has trouble, for role {arn}");
        return Problem::new(Kind::Unreachable, Code::AwsFailing, temporary, text, "");
    }
    if refusal.is_skewed() {
        let text = format!("{words}: the clocks of this node and of AWS differ");
        let advice = "mend time synchronisation on the operator's node";
        return problem(Code::AwsClockSkew, Class::Local, text, advice);
    }
    match presented {
        Presented::Credentials { own, external_id } => {
            if refusal.is_denied() {
                return denied(&words, &refusal.message, arn, *external_id);
            }
            if refusal.is_stale() || refusal.code == "SignatureDoesNotMatch" {
                let text = format!("{words}: STS in {region} does not accept {}", own.principal);
                return problem(Code::AwsKeysRefused, Class::Local, text, "");
            }
        }
        Presented::WebIdentity { claims, .. } => {
            if let Some(found) = web_identity(refusal, &words, arn, claims) {
                return found;
            }
        }
    }
    problem(Code::AwsStsRefused, Class::Wrong, format!("STS refuses role {arn}: {words}"), "")
}

/// Upstream's and AWS's usual trouble, with the statement that mends it.
fn denied(words: &str, message: &str, arn: &str, external_id: Option<&str>) -> Problem {
    let told = external_id
        .map_or_else(|| "without an external id".to_owned(), |id| format!("with external id {id:?}"));
    let text = format!("{words}: asked for role {arn} {told}");
    let condition = external_id.map_or_else(String::new, |id| {
        format!(",\"Condition\":{{\"StringEquals\":{{\"sts:ExternalId\":\"{id}\"}}}}")
    });
    let action = match message.contains("sts:TagSession") {
        true => "[\"sts:AssumeRole\",\"sts:TagSession\"]",
        false => "\"sts:AssumeRole\"",
    };
    let caller = caller(message).unwrap_or_else(|| "ARN-OF-THE-OPERATORS-ROLE".to_owned());
    let advice = format!(
        "the role's trust policy needs {{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{caller}\"}},\"Action\":{action}{condition}}}"
    );
    Problem::new(Kind::Auth, Code::AwsAssumeRoleDenied, Class::Wrong, text, advice)
}

/// The role or user that asked, from `User: arn:… is not authorized`, as a policy names it.
fn caller(message: &str) -> Option<String> {
    let arn = message.split_once("User: ")?.1.split_whitespace().next()?;
    match arn.split_once(":sts::").zip(arn.split_once(":assumed-role/")) {
        Some(((partition, rest), (_, role))) => {
            let account = rest.split(':').next()?;
            let role = role.split('/').next()?;
            Some(format!("{partition}:iam::{account}:role/{role}"))
        }
        None => arn.starts_with("arn:").then(|| arn.to_owned()),
    }
}

fn web_identity(refusal: &Refusal, words: &str, arn: &str, claims: &Claims) -> Option<Problem> {
    let Claims { issuer, subject, audience, .. } = claims;
    let shown = format!(
        "asked for role {arn} with a token of issuer {issuer:?}, subject {subject:?}, audience {audience:?}"
    );
    let (code, class, advice) = match refusal.code.as_str() {
        "AccessDenied" => {
            let account = arn.split(':').nth(4).unwrap_or_default();
            let partition = arn.split(":iam").next().unwrap_or("arn:aws");
            let provider = issuer.trim_start_matches("https://").trim_end_matches('/');
            let advice = format!(
                "the role's trust policy needs {{\"Effect\":\"Allow\",\"Principal\":{{\"Federated\":\"{partition}:iam::{account}:oidc-provider/{provider}\"}},\
                 \"Action\":\"sts:AssumeRoleWithWebIdentity\",\"Condition\":{{\"StringEquals\":{{\"{provider}:sub\":\"{subject}\",\"{provider}:aud\":\"{audience}\"}}}}}}"
            );
            (Code::AwsWebIdentityDenied, Class::Wrong, advice)
        }
        "InvalidIdentityToken" | "IncorrectTrustPolicy" => {
            let advice = format!(
                "the role's account needs an IAM OIDC provider for {issuer} with audience {audience}: eksctl utils \
                 associate-iam-oidc-provider --cluster NAME --approve"
            );
            (Code::AwsWebIdentityRefused, Class::Wrong, advice)
        }
        "IDPCommunicationError" | "IDPCommunicationErrorException" => {
            let advice = format!(
                "{}/.well-known/openid-configuration has to be reachable from the internet",
                issuer.trim_end_matches('/')
            );
            (Code::AwsWebIdentityRefused, Class::Temporary { wait: None }, advice)
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            let advice = "look at the kubelet of the operator's node, and at the node's clock".to_owned();
            (Code::AwsTokenFile, Class::Local, advice)
        }
        _ => return None,
    };
    Some(Problem::new(Kind::Auth, code, class, format!("{words}: {shown}"), advice))
}

/// Nothing gives the operator an identity.
pub(super) fn no_identity(why: &str) -> Problem {
    let text = format!("the operator has no AWS identity: {why}");
    let advice = "annotate its ServiceAccount with eks.amazonaws.com/role-arn (podIdentity.aws.irsa in the chart), or associate it \
                  with EKS Pod Identity, and make its pod again";
    Problem::new(Kind::Auth, Code::AwsIdentityMissing, Class::Local, text, advice)
}
