//! Reviews: questions that are answered at once and never stored. The answers come from `access`.

use k8s_openapi::api::{
    authentication::v1::TokenReview,
    authorization::v1::{SelfSubjectAccessReview, SubjectAccessReview},
};

use super::{of, resource};
use crate::resource::{Builtin, Resource};

static TOKEN_REVIEW: Builtin = of::<TokenReview>();
static ACCESS_REVIEW: Builtin = of::<SubjectAccessReview>();
static SELF_ACCESS_REVIEW: Builtin = of::<SelfSubjectAccessReview>();

pub(super) fn resources() -> Vec<Resource> {
    let review = |group, kind, plural, rules| {
        let mut resource = resource(group, "v1", kind, plural, rules).cluster_scoped();
        resource.ephemeral = true;
        resource
    };
    vec![
        review("authentication.k8s.io", "TokenReview", "tokenreviews", &TOKEN_REVIEW),
        review(
            "authorization.k8s.io",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            &SELF_ACCESS_REVIEW,
        ),
        review("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", &ACCESS_REVIEW),
    ]
}
