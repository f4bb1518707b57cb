//! Answers to reviews: whose token is this, may they do that.

use serde_json::{Value, json};

use crate::{access::Access, refusal::Refusal, resource::Resource, server::Identity};

/// The review with its answer.
pub(crate) fn answer(
    resource: &Resource,
    access: &Access,
    asker: &Identity,
    mut body: Value,
) -> Result<Value, Refusal> {
    if !body.is_object() {
        return Err(Refusal::bad_request("the body of the request is no object"));
    }
    body["apiVersion"] = json!(resource.api_version());
    body["kind"] = json!(resource.kind);
    body["metadata"] = json!({});
    let status = match resource.kind.as_str() {
        "TokenReview" => token(access, &body["spec"]),
        "SelfSubjectAccessReview" => access.review(&asker.user, &body["spec"]),
        _ => access.review(body["spec"]["user"].as_str().unwrap_or_default(), &body["spec"]),
    };
    body["status"] = status;
    Ok(body)
}

fn token(access: &Access, spec: &Value) -> Value {
    match access.identity(spec["token"].as_str().unwrap_or_default()) {
        Some(identity) => json!({
            "authenticated": true,
            "user": {"username": identity.user, "groups": identity.groups},
            "audiences": spec["audiences"],
        }),
        None => json!({"user": {}, "error": "invalid bearer token"}),
    }
}
